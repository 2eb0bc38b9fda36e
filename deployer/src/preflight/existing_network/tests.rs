//! A VPC as a platform team makes it, and what breaks when a part of it is missing.

mod chosen;

use aws::ec2::SecurityGroupRule;
use aws::vpc::Route;
use platform::stacks;

use super::super::Problem;
use super::*;
use crate::command::testing;

const VPC: &str = "vpc-0123456789abcdef0";

fn route(destination: &str, target: &str) -> Route {
    Route {
        destination: destination.to_owned(),
        target: target.to_owned(),
        is_active: true,
    }
}

fn table(tier: &str, routes: &[(&str, &str)]) -> RouteTable {
    let subnets = ["a", "b"].map(|zone| format!("subnet-{tier}-{zone}"));
    RouteTable {
        id: format!("rtb-{tier}"),
        is_main: false,
        subnets: subnets.into(),
        routes: [("10.0.0.0/16", "local")]
            .iter()
            .chain(routes)
            .map(|(to, target)| route(to, target))
            .collect(),
    }
}

/// Two subnets of each tier, with routes to an internet gateway and a NAT gateway.
fn survey() -> Survey {
    let subnet = |tier: &str, zone: &str, third: u8| Subnet {
        id: format!("subnet-{tier}-{zone}"),
        zone: format!("eu-central-1{zone}"),
        cidr: format!("10.0.{third}.0/24"),
        free_addresses: 200,
        tags: BTreeMap::new(),
    };
    let tiers = [("public", 0), ("private", 10), ("isolated", 20)];
    let subnets = tiers
        .iter()
        .flat_map(|(tier, first)| [subnet(tier, "a", *first), subnet(tier, "b", first + 1)]);
    let ids = |tier: &str| ["a", "b"].map(|zone| format!("subnet-{tier}-{zone}")).to_vec();
    Survey {
        vpc: Vpc {
            id: VPC.to_owned(),
            owner: "111122223333".to_owned(),
            dns_support: true,
            dns_hostnames: true,
        },
        chosen: SubnetTier::ALL
            .into_iter()
            .zip(tiers.map(|(tier, _)| ids(tier)))
            .collect(),
        subnets: subnets.collect(),
        tables: vec![
            table("public", &[("0.0.0.0/0", "igw-1")]),
            table("private", &[("0.0.0.0/0", "nat-1")]),
            table("isolated", &[]),
        ],
        endpoints: Vec::new(),
        zones: Vec::new(),
        is_shared: false,
    }
}

fn endpoint(api: &str) -> VpcEndpoint {
    let is_interface = api != "s3";
    VpcEndpoint {
        id: format!("vpce-{api}"),
        api: api.to_owned(),
        is_interface,
        is_usable: true,
        route_tables: if is_interface {
            Vec::new()
        } else {
            vec!["rtb-private".to_owned()]
        },
        groups: vec!["sg-endpoints".to_owned()],
    }
}

/// All findings of the checks that need no further request, for a first deployment.
fn found(survey: &Survey) -> Vec<PreflightFinding> {
    let manifest = testing::manifest("prod");
    let plan = stacks::plan(&manifest);
    let new: Vec<&Stack> = plan.stacks.iter().collect();
    let mut findings = settings(survey);
    findings.extend(missing(survey));
    findings.extend(zones::check(survey, &manifest));
    findings.extend(routes::check(survey, &manifest));
    findings.extend(addresses::check(survey, &manifest, &new));
    findings
}

fn problems(survey: &Survey, are_fatal: bool) -> Vec<NetworkProblem> {
    let problem = |finding: PreflightFinding| match finding.problem {
        Problem::Network(problem) if finding.fatal == are_fatal => problem,
        other => panic!("{other:?}, fatal: {}", finding.fatal),
    };
    found(survey).into_iter().map(problem).collect()
}

#[test]
fn a_network_with_gateways_or_with_endpoints_is_accepted() {
    assert_eq!(found(&survey()), []);
    let mut closed = survey();
    closed.tables[1] = table("private", &[]);
    closed.endpoints = ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "s3"]
        .map(endpoint)
        .into();
    assert_eq!(found(&closed), []);
    let mut through_hub = survey();
    for target in ["tgw-1", "vgw-1", "eni-1", "vpce-firewall"] {
        through_hub.tables[1] = table("private", &[("0.0.0.0/0", target)]);
        assert_eq!(found(&through_hub), [], "{target}");
    }
}

#[test]
fn the_main_table_is_that_of_subnets_without_one() {
    let mut survey = survey();
    survey.tables[1].subnets.clear();
    survey.tables[1].is_main = true;
    survey.tables[2].subnets.clear();
    assert_eq!(found(&survey), []);
}

#[test]
fn private_subnets_without_a_way_to_the_apis_are_named_with_what_their_table_lacks() {
    let mut survey = survey();
    survey.tables[1] = table("private", &[]);
    survey.endpoints = ["ecr.api", "logs", "s3"].map(endpoint).into();
    survey.endpoints[1].is_usable = false;
    survey.endpoints[2].route_tables.clear();
    let expected = |zone: &str, target: Option<&str>| NetworkProblem::NoWayOut {
        subnet: format!("subnet-private-{zone}"),
        table: "rtb-private".to_owned(),
        target: target.map(str::to_owned),
        missing: ["ecr.dkr", "logs", "secretsmanager", "s3"].map(str::to_owned).into(),
    };
    assert_eq!(problems(&survey, true), [expected("a", None), expected("b", None)]);

    survey.tables[1] = table("private", &[("0.0.0.0/0", "igw-1")]);
    assert_eq!(problems(&survey, true)[0], expected("a", Some("igw-1")));
    survey.tables[1] = table("private", &[("0.0.0.0/0", "nat-1")]);
    survey.tables[1].routes[1].is_active = false;
    assert_eq!(problems(&survey, true)[0], expected("a", Some("nat-1")));

    // the endpoints may be in a hub VPC, or hidden by their owner
    survey.tables[1] = table("private", &[("10.0.0.0/8", "tgw-1")]);
    assert!(matches!(
        problems(&survey, false)[0],
        NetworkProblem::UnknownWayOut { .. }
    ));
    survey.tables[1] = table("private", &[]);
    survey.is_shared = true;
    assert!(matches!(
        problems(&survey, false)[..],
        [
            NetworkProblem::Shared { .. },
            NetworkProblem::NoWayOut { .. },
            NetworkProblem::NoWayOut { .. }
        ]
    ));
}

#[test]
fn a_load_balancer_needs_routes_to_the_internet_and_a_subnet_where_tasks_are() {
    let mut survey = survey();
    survey.tables[0] = table("public", &[("0.0.0.0/0", "nat-1")]);
    assert!(matches!(
        problems(&survey, true)[..],
        [NetworkProblem::NotPublic { .. }, NetworkProblem::NotPublic { .. }]
    ));
    let mut survey = self::survey();
    survey.subnets[3].zone = "eu-central-1c".to_owned();
    let outside = NetworkProblem::ZoneWithoutBalancer {
        subnet: "subnet-private-b".to_owned(),
        zone: "eu-central-1c".to_owned(),
    };
    assert_eq!(problems(&survey, true), [outside]);
    survey.subnets[1].zone = "eu-central-1a".to_owned();
    let [first, second, ..] = &problems(&survey, true)[..] else {
        panic!("too few")
    };
    assert!(matches!(
        first,
        NetworkProblem::OneZone {
            tier: SubnetTier::Public,
            ..
        }
    ));
    assert!(matches!(
        second,
        NetworkProblem::SameZone {
            tier: SubnetTier::Public,
            ..
        }
    ));
    let mut survey = self::survey();
    survey.tables.retain(|table| table.id != "rtb-public");
    assert!(matches!(problems(&survey, false)[0], NetworkProblem::NoTable { .. }));
}

#[test]
fn brokers_and_databases_need_zones_that_have_them() {
    let mut survey = survey();
    survey.subnets[5].zone = "eu-central-1a".to_owned();
    let [one, same] = &problems(&survey, true)[..] else {
        panic!("not two")
    };
    assert!(matches!(
        one,
        NetworkProblem::OneZone {
            tier: SubnetTier::Isolated,
            ..
        }
    ));
    assert!(matches!(
        same,
        NetworkProblem::SameZone {
            tier: SubnetTier::Isolated,
            ..
        }
    ));

    let mut survey = self::survey();
    let zone = |zone: &str, lacks: &[&str]| Zone {
        name: format!("eu-central-1{zone}"),
        id: String::new(),
        lacks: lacks.iter().map(|&lack| lack.to_owned()).collect(),
    };
    survey.zones = vec![zone("a", &["MSK", "db.t4g.medium"]), zone("b", &[])];
    assert!(matches!(
        problems(&survey, true)[..],
        [NetworkProblem::ZoneWithoutKafka { .. }]
    ));
    survey.zones = vec![zone("a", &["db.t4g.medium"]), zone("b", &["db.t4g.medium"])];
    assert!(matches!(
        problems(&survey, true)[..],
        [NetworkProblem::ZonesWithoutClass { .. }]
    ));

    let mut survey = self::survey();
    survey.tables[2] = table("isolated", &[("0.0.0.0/0", "igw-1")]);
    assert!(matches!(problems(&survey, false)[0], NetworkProblem::PublicData { .. }));
}

#[test]
fn the_first_start_and_a_rollout_need_free_addresses() {
    let mut survey = survey();
    survey.subnets[0].free_addresses = 7;
    assert!(matches!(
        problems(&survey, true)[..],
        [NetworkProblem::BalancerAddresses { free: 7, .. }]
    ));
    let with = |free: u64| {
        let mut survey = self::survey();
        (survey.subnets[2].free_addresses, survey.subnets[3].free_addresses) = (free, 0);
        found(&survey)
    };
    let fatal: Vec<bool> = with(1).iter().map(|finding| finding.fatal).collect();
    assert_eq!(fatal, [true], "too few for the first start");
    let fatal: Vec<bool> = with(9).iter().map(|finding| finding.fatal).collect();
    assert_eq!(fatal, [false], "too few for a rollout");
    let mut survey = self::survey();
    (survey.subnets[4].free_addresses, survey.subnets[5].free_addresses) = (1, 0);
    assert!(matches!(
        problems(&survey, true)[..],
        [NetworkProblem::Addresses {
            tier: SubnetTier::Isolated,
            ..
        }]
    ));
    let manifest = testing::manifest("prod");
    assert_eq!(
        addresses::check(&survey, &manifest, &[]),
        [],
        "what runs has its addresses already"
    );
}

#[test]
fn dns_and_subnets_that_do_not_exist_are_found() {
    let mut survey = survey();
    survey.vpc.dns_hostnames = false;
    survey.subnets.remove(2);
    let found = found(&survey);
    let fatal: Vec<&Problem> = found
        .iter()
        .filter(|finding| finding.fatal)
        .map(|finding| &finding.problem)
        .collect();
    assert!(matches!(
        fatal[..],
        [
            Problem::Network(NetworkProblem::Dns {
                setting: "hostnames",
                ..
            }),
            Problem::Network(NetworkProblem::NotInVpc {
                tier: SubnetTier::Private,
                ..
            }),
        ]
    ));
}

#[test]
fn an_endpoint_accepts_a_subnet_by_its_addresses() {
    let survey = survey();
    let subnet = &survey.subnets[2];
    let rule = |peer: &str, protocol: &str, ports: (i64, i64), egress: bool| SecurityGroupRule {
        id: String::new(),
        group: String::new(),
        egress,
        protocol: protocol.to_owned(),
        ports,
        peer: peer.to_owned(),
    };
    assert!(routes::accepts(&rule("10.0.0.0/16", "tcp", (443, 443), false), subnet));
    assert!(routes::accepts(&rule("0.0.0.0/0", "-1", (-1, -1), false), subnet));
    assert!(
        routes::accepts(&rule("pl-1", "tcp", (443, 443), false), subnet),
        "not known"
    );
    for rule in [
        rule("10.0.10.0/25", "tcp", (443, 443), false),
        rule("10.0.0.0/16", "tcp", (80, 80), false),
        rule("10.0.0.0/16", "udp", (443, 443), false),
        rule("10.0.0.0/16", "tcp", (443, 443), true),
        rule("sg-1", "tcp", (443, 443), false),
    ] {
        assert!(!routes::accepts(&rule, subnet), "{rule:?}");
    }
}
