//! Rollouts of the service behind the load balancer that shift requests.

use serde_json::json;

use super::*;
use crate::manifest::{Manifest, Rollout, Scaling, Steps};

/// Returns the resources of `web`'s stack with this rollout.
fn web(rollout: Rollout, change: impl FnOnce(&mut Manifest)) -> Value {
    let (mut manifest, _) = plan_of("dev");
    change(&mut manifest);
    let web = manifest.services.iter_mut().find(|service| service.name == "web");
    web.expect("the service").rollout = rollout;
    let plan = crate::stacks::plan(&manifest);
    let findings = crate::lint::check(&manifest, &plan);
    assert!(findings.is_empty(), "{findings:?}");
    plan.stack("web").expect("its stack").template["Resources"].clone()
}

const CANARY: Rollout = Rollout::Shifting {
    steps: Steps::Canary {
        percent: 10,
        minutes: 5,
    },
    bake_minutes: 7,
};

#[test]
fn a_canary_moves_requests_between_two_groups_and_stops_on_alarms_of_both() {
    let resources = web(CANARY, |_| {});
    let service = &resources["Service"]["Properties"];
    assert_eq!(
        service["DeploymentConfiguration"],
        json!({
            "Strategy": "CANARY",
            "CanaryConfiguration": { "CanaryPercent": 10, "CanaryBakeTimeInMinutes": 5 },
            "BakeTimeInMinutes": 7,
            "MinimumHealthyPercent": 100,
            "MaximumPercent": 200,
            "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
            "Alarms": { "Enable": true, "Rollback": true, "AlarmNames": [
                { "Ref": "ServerErrorAlarm" }, { "Ref": "UnhealthyTargetAlarm" },
                { "Ref": "AlternateServerErrorAlarm" }, { "Ref": "AlternateUnhealthyTargetAlarm" },
            ] },
        })
    );
    assert_eq!(
        service["LoadBalancers"][0]["AdvancedConfiguration"],
        json!({
            "AlternateTargetGroupArn": { "Ref": "AlternateTargetGroup" },
            "ProductionListenerRule": { "Ref": "ListenerRule" },
            "RoleArn": { "Fn::GetAtt": ["TrafficShiftRole", "Arn"] },
        })
    );
    assert_eq!(
        resources["ListenerRule"]["Properties"]["Actions"][0]["ForwardConfig"]["TargetGroups"],
        json!([
            { "TargetGroupArn": { "Ref": "TargetGroup" }, "Weight": 100 },
            { "TargetGroupArn": { "Ref": "AlternateTargetGroup" }, "Weight": 0 },
        ])
    );
    let alarm = &resources["AlternateServerErrorAlarm"]["Properties"];
    let group = json!({ "Fn::GetAtt": ["AlternateTargetGroup", "TargetGroupFullName"] });
    assert_eq!(alarm["Dimensions"][1]["Value"], group);
    assert!(alarm.get("AlarmActions").is_none(), "this environment notifies no one");
}

#[test]
fn the_steps_of_each_strategy_are_those_of_ecs() {
    let configuration = |steps| {
        let rollout = Rollout::Shifting { steps, bake_minutes: 5 };
        let mut found = web(rollout, |_| {})["Service"]["Properties"]["DeploymentConfiguration"].clone();
        let found = found.as_object_mut().expect("an object");
        for other in [
            "MinimumHealthyPercent",
            "MaximumPercent",
            "DeploymentCircuitBreaker",
            "Alarms",
        ] {
            found.remove(other);
        }
        Value::Object(found.clone())
    };
    assert_eq!(
        configuration(Steps::BlueGreen),
        json!({ "Strategy": "BLUE_GREEN", "BakeTimeInMinutes": 5 })
    );
    let (percent, minutes) = (20, 3);
    assert_eq!(
        configuration(Steps::Linear { percent, minutes }),
        json!({
            "Strategy": "LINEAR", "BakeTimeInMinutes": 5,
            "LinearConfiguration": { "StepPercent": 20, "StepBakeTimeInMinutes": 3 },
        })
    );
}

/// CloudFormation would reset the weights that ECS has moved.
#[test]
fn no_setting_of_the_service_or_the_ingress_changes_the_rule() {
    let former = web(CANARY, |_| {})["ListenerRule"].clone();
    let changed = web(CANARY, |manifest| {
        manifest.ingress.port = 443;
        manifest.ingress.host = Some("shop.example.org".into());
        manifest.ingress.readiness_path = "/other".into();
        let web = manifest.services.iter_mut().find(|service| service.name == "web");
        let web = web.expect("the service");
        (web.count, web.cpu, web.memory) = (3, 512, 1024);
        web.ports[0].number = 8888;
        web.health_path = "/other".into();
    });
    assert_eq!(changed["ListenerRule"], former);
}

#[test]
fn scaling_by_requests_counts_those_of_both_groups() {
    let scaling = Scaling {
        minimum: 2,
        maximum: 4,
        cpu_percent: 60,
        requests_per_target: Some(1000),
    };
    let resources = web(CANARY, |manifest| {
        for service in &mut manifest.services {
            service.scaling = Some(scaling);
        }
    });
    let policy = &resources["RequestScaling"]["Properties"]["TargetTrackingScalingPolicyConfiguration"];
    let metrics = policy["CustomizedMetricSpecification"]["Metrics"]
        .as_array()
        .expect("metrics");
    assert_eq!(metrics[2]["Expression"], "FILL(group0, 0) + FILL(group1, 0)");
    assert!(policy.get("PredefinedMetricSpecification").is_none());
}
