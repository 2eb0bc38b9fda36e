//! Tests of Elastic Load Balancing's operations that create, change and delete.

use embedded_endpoint::Behavior;

use crate::endpoint::{Endpoint, element};

const ELB: (&str, &str) = ("elasticloadbalancing", "2015-12-01");
const REFUSED: Option<&str> = Some("ValidationError");

#[tokio::test]
async fn a_load_balancer_is_created_changed_and_deleted_by_calls() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 104, Behavior::default()).await;
    let describe = [("Action", "DescribeSubnets")];
    let subnets = endpoint.query("ec2", "2016-11-15", &describe).await.unwrap();
    let vpc = element(&subnets, "vpcId").unwrap();
    let subnets: Vec<&str> = subnets
        .split("<subnetId>")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('<')?.0))
        .collect();
    let name = ("Name", "web");
    let both = [name, ("Subnets.member.1", subnets[0]), ("Subnets.member.2", subnets[1])];
    let balancer = endpoint.get(ELB, "CreateLoadBalancer", &both, "LoadBalancerArn").await;
    let shown = endpoint
        .action(ELB, "DescribeLoadBalancers", &[("Names.member.1", "web")])
        .await
        .unwrap();
    assert_eq!(element(&shown, "VpcId"), Some(vpc));
    assert_eq!(shown.matches("<ZoneName>us-east-1").count(), 2, "{shown}");
    let group = [
        name,
        ("Protocol", "HTTP"),
        ("Port", "80"),
        ("VpcId", vpc),
        ("TargetType", "ip"),
        ("ProtocolVersion", ""),
    ];
    let group = endpoint.get(ELB, "CreateTargetGroup", &group, "TargetGroupArn").await;
    let balancer = ("LoadBalancerArn", balancer.as_str());
    let action = [
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
    ];
    let listener = [balancer, ("Protocol", "HTTP"), ("Port", "18304"), action[0], action[1]];
    let listener = endpoint.get(ELB, "CreateListener", &listener, "ListenerArn").await;
    let listener = ("ListenerArn", listener.as_str());
    let rule = |priority| {
        [
            listener,
            ("Priority", priority),
            ("Conditions.member.1.Field", "path-pattern"),
            ("Conditions.member.1.PathPatternConfig.Values.member.1", "/api/*"),
            ("Actions.member.1.Type", "forward"),
            ("Actions.member.1.TargetGroupArn", group.as_str()),
        ]
    };
    let first = endpoint.get(ELB, "CreateRule", &rule("1"), "RuleArn").await;
    let second = endpoint.get(ELB, "CreateRule", &rule("2"), "RuleArn").await;
    let swapped = [
        ("RulePriorities.member.1.RuleArn", first.as_str()),
        ("RulePriorities.member.1.Priority", "2"),
        ("RulePriorities.member.2.RuleArn", second.as_str()),
        ("RulePriorities.member.2.Priority", "1"),
    ];
    let tags = [
        ("ResourceArns.member.1", group.as_str()),
        ("Tags.member.1.Key", "k"),
        ("Tags.member.1.Value", "v"),
    ];
    let group = ("TargetGroupArn", group.as_str());
    let attribute = |key| {
        [
            group,
            ("Attributes.member.1.Key", key),
            ("Attributes.member.1.Value", "10"),
        ]
    };
    let default = format!("{}/default", first.rsplit_once('/').unwrap().0);
    endpoint
        .expect(
            ELB,
            &[
                ("CreateLoadBalancer", &both, Some("DuplicateLoadBalancerName")),
                (
                    "CreateLoadBalancer",
                    &[("Name", "b"), both[1], ("Subnets.member.2", "subnet-1")],
                    Some("SubnetNotFound"),
                ),
                (
                    "CreateLoadBalancer",
                    &[("Name", "b"), both[1], ("Subnets.member.2", subnets[0])],
                    Some("InvalidConfigurationRequest"),
                ),
                (
                    "CreateLoadBalancer",
                    &[("Name", "b"), both[1], both[2], ("Type", "network")],
                    Some("ValidationError"),
                ),
                (
                    "CreateTargetGroup",
                    &[("Name", "b"), ("Protocol", "HTTP"), ("Port", "80")],
                    Some("ValidationError"),
                ),
                ("CreateRule", &rule("1"), Some("PriorityInUse")),
                ("SetRulePriorities", &swapped, None),
                ("SetRulePriorities", &swapped[..2], None),
                (
                    "SetRulePriorities",
                    &[swapped[0], ("RulePriorities.member.1.Priority", "1")],
                    Some("PriorityInUse"),
                ),
                ("AddTags", &tags, None),
                (
                    "ModifyTargetGroupAttributes",
                    &attribute("deregistration_delay.timeout_seconds"),
                    None,
                ),
                (
                    "ModifyTargetGroupAttributes",
                    &attribute("deregistration.delay"),
                    Some("ValidationError"),
                ),
                ("DescribeListenerAttributes", &[listener], None),
                ("DescribeCapacityReservation", &[balancer], None),
                ("DeleteRule", &[("RuleArn", &default)], Some("OperationNotPermitted")),
                ("DeleteTargetGroup", &[group], Some("ResourceInUse")),
            ],
        )
        .await;
    assert_eq!(endpoint.get(ELB, "DescribeTags", &tags[..1], "Value").await, "v");
    let attributes = endpoint
        .action(ELB, "DescribeTargetGroupAttributes", &[group])
        .await
        .unwrap();
    assert_eq!(attributes.matches("<Key>").count(), 14, "{attributes}");
    let page = endpoint
        .action(ELB, "DescribeRules", &[listener, ("PageSize", "1")])
        .await
        .unwrap();
    assert_eq!(
        (page.matches("<RuleArn>").count(), element(&page, "RuleArn")),
        (1, Some(second.as_str()))
    );
    endpoint
        .expect(
            ELB,
            &[
                ("RemoveTags", &[tags[0], ("TagKeys.member.1", "k")], None),
                ("DeleteRule", &[("RuleArn", &first)], None),
                ("DeleteRule", &[("RuleArn", &first)], Some("RuleNotFound")),
                ("DeleteListener", &[listener], None),
                ("DeleteListener", &[listener], Some("ListenerNotFound")),
                ("DeleteTargetGroup", &[group], None),
                ("DeleteLoadBalancer", &[balancer], None),
                (
                    "DescribeLoadBalancers",
                    &[("Names.member.1", "web")],
                    Some("LoadBalancerNotFound"),
                ),
            ],
        )
        .await;
    endpoint.stop().await;
}

#[tokio::test]
async fn attributes_act_are_kept_or_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 105, Behavior::default()).await;
    let subnets = endpoint
        .query("ec2", "2016-11-15", &[("Action", "DescribeSubnets")])
        .await;
    let subnets = subnets.unwrap();
    let vpc = element(&subnets, "vpcId").unwrap();
    let ids: Vec<&str> = subnets
        .split("<subnetId>")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('<')?.0))
        .collect();
    let both = [
        ("Name", "web"),
        ("Subnets.member.1", ids[0]),
        ("Subnets.member.2", ids[1]),
    ];
    let balancer = endpoint.get(ELB, "CreateLoadBalancer", &both, "LoadBalancerArn").await;
    let group = [
        ("Name", "rpc"),
        ("Protocol", "HTTP"),
        ("Port", "80"),
        ("VpcId", vpc),
        ("TargetType", "ip"),
        ("ProtocolVersion", "GRPC"),
        ("Matcher.GrpcCode", "0-99"),
    ];
    let group = endpoint.get(ELB, "CreateTargetGroup", &group, "TargetGroupArn").await;
    let set = |kind, arn, key, value| {
        [
            (kind, arn),
            ("Attributes.member.1.Key", key),
            ("Attributes.member.1.Value", value),
        ]
    };
    let of_balancer = |key, value| set("LoadBalancerArn", balancer.as_str(), key, value);
    let of_group = |key, value| set("TargetGroupArn", group.as_str(), key, value);
    for (key, value, expected) in [
        ("routing.http.desync_mitigation_mode", "strictest", None),
        ("routing.http.desync_mitigation_mode", "strict", REFUSED),
        ("idle_timeout.timeout_seconds", "4000", None),
        ("idle_timeout.timeout_seconds", "4001", REFUSED),
        ("access_logs.s3.enabled", "true", None),
        ("load_balancing.cross_zone.enabled", "false", REFUSED),
        ("routing.http.x_amzn_tls_kx.enabled", "true", REFUSED),
        ("dns_record.client_routing_policy", "any_availability_zone", REFUSED),
    ] {
        let call = of_balancer(key, value);
        endpoint
            .expect(ELB, &[("ModifyLoadBalancerAttributes", &call, expected)])
            .await;
    }
    for (key, value, expected) in [
        ("slow_start.duration_seconds", "30", None),
        ("load_balancing.algorithm.type", "fastest", REFUSED),
        ("load_balancing.algorithm.anomaly_mitigation", "on", REFUSED),
        ("stickiness.type", "source_ip", REFUSED),
        ("stickiness.enabled", "true", None),
    ] {
        let call = of_group(key, value);
        endpoint
            .expect(ELB, &[("ModifyTargetGroupAttributes", &call, expected)])
            .await;
    }
    let shown = endpoint
        .action(ELB, "DescribeTargetGroups", &[("Names.member.1", "rpc")])
        .await
        .unwrap();
    let texts = ["ProtocolVersion", "GrpcCode", "HealthCheckPath"].map(|name| element(&shown, name).unwrap());
    assert_eq!(texts, ["GRPC", "0-99", "/AWS.ALB/healthcheck"]);
    let listener = [
        ("LoadBalancerArn", balancer.as_str()),
        ("Protocol", "HTTP"),
        ("Port", "18305"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
    ];
    endpoint
        .expect(ELB, &[("CreateListener", &listener, Some("UnsupportedProtocol"))])
        .await;
    endpoint.stop().await;
}
