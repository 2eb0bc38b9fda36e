//! The service-linked roles that the plan's resources need.

use std::time::Duration;

use aws::service_linked_role::{self, ServiceLinkedRole};
use aws::{EndpointKind, Error, Session};
use platform::stacks::Plan;
use serde_json::Value;
use ui::Ui;

/// The time that IAM takes to show a new role to every service ("Troubleshoot IAM: Changes that I make are not always immediately
/// visible").
const PROPAGATION: Duration = Duration::from_secs(15);

const fn role(service: &'static str, name: &'static str) -> ServiceLinkedRole {
    ServiceLinkedRole { service, name }
}

const ECS: ServiceLinkedRole = role("ecs.amazonaws.com", "AWSServiceRoleForECS");
const ECS_SCALING: ServiceLinkedRole = role(
    "ecs.application-autoscaling.amazonaws.com",
    "AWSServiceRoleForApplicationAutoScaling_ECSService",
);
const KAFKA: ServiceLinkedRole = role("kafka.amazonaws.com", "AWSServiceRoleForKafka");
const KAFKA_SCALING: ServiceLinkedRole = role(
    "kafka.application-autoscaling.amazonaws.com",
    "AWSServiceRoleForApplicationAutoScaling_KafkaCluster",
);
const LOAD_BALANCING: ServiceLinkedRole = role(
    "elasticloadbalancing.amazonaws.com",
    "AWSServiceRoleForElasticLoadBalancing",
);
const RDS: ServiceLinkedRole = role("rds.amazonaws.com", "AWSServiceRoleForRDS");

/// Returns the role that a resource's service takes ("Services that work with IAM", and the page on service-linked roles in the guide
/// of each service).
fn role_of(resource: &Value) -> Option<ServiceLinkedRole> {
    match resource["Type"].as_str()? {
        "AWS::ECS::Cluster" | "AWS::ECS::Service" => Some(ECS),
        "AWS::MSK::Cluster" => Some(KAFKA),
        "AWS::RDS::DBInstance" => Some(RDS),
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => Some(LOAD_BALANCING),
        "AWS::ApplicationAutoScaling::ScalableTarget" => match resource["Properties"]["ServiceNamespace"].as_str()? {
            "ecs" => Some(ECS_SCALING),
            "kafka" => Some(KAFKA_SCALING),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the roles that the plan needs, each once.
pub fn needed(plan: &Plan) -> Vec<ServiceLinkedRole> {
    let resources = plan
        .stacks
        .iter()
        .filter_map(|stack| stack.template["Resources"].as_object())
        .flat_map(|resources| resources.values());
    let mut roles: Vec<ServiceLinkedRole> = resources.filter_map(role_of).collect();
    roles.sort_by_key(|role| role.name);
    roles.dedup();
    roles
}

/// Returns the roles that the account lacks. A role that the caller may not read counts as existing if `assume` is true.
pub async fn missing(aws: &Session, plan: &Plan, assume: bool) -> Vec<ServiceLinkedRole> {
    let roles = needed(plan);
    let exist = roles.iter().map(|role| service_linked_role::exists(aws, *role));
    let exist = futures::future::join_all(exist).await;
    let known = roles.into_iter().zip(exist).filter(|(_, exists)| match exists {
        Ok(exists) => !exists,
        Err(Error::Denied { .. }) => !assume,
        // An imitation of AWS without the operation has no such roles.
        Err(_) => false,
    });
    known.map(|(role, _)| role).collect()
}

/// Creates the missing roles, and waits until their services see them. A failure is a warning: the service creates its role itself, and
/// only the first deployment of an account may fail.
pub async fn ensure(aws: &Session, ui: &Ui, plan: &Plan) {
    let mut created = Vec::new();
    for role in missing(aws, plan, false).await {
        match service_linked_role::create(aws, role).await {
            Ok(true) => created.push(role.name),
            Ok(false) => {}
            Err(error) if error.is_unsupported() => {}
            Err(error) => ui.warn(format!(
                "cannot create the service-linked role {}: {error}; the first deployment in an account may fail without it, and the \
                 next `up` succeeds",
                role.name
            )),
        }
    }
    if !created.is_empty() && aws.endpoint().kind == EndpointKind::Aws {
        let names = created.join(", ");
        ui.info(format!(
            "created service-linked roles, which stay in the account: {names}"
        ));
        aws.clock().sleep(PROPAGATION).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws::Clock;
    use aws::credentials::fixed;
    use aws::testing::{FakeAws, error_response, query_response};
    use parking_lot::Mutex;

    use super::*;
    use crate::command::testing::plan;

    /// An account with the role of RDS. ECS creates its own between the question and the creation; IAM denies that of MSK.
    async fn account(created: Arc<Mutex<Vec<String>>>) -> FakeAws {
        FakeAws::start(move |call| match (call.operation.as_str(), call.field("RoleName").as_str()) {
            ("GetRole", "AWSServiceRoleForRDS") => query_response("GetRole", "<Role/>"),
            ("GetRole", _) => error_response(404, "NoSuchEntity", "The role cannot be found."),
            ("CreateServiceLinkedRole", _) => {
                let service = call.field("AWSServiceName");
                created.lock().push(service.clone());
                match service.as_str() {
                    "ecs.amazonaws.com" => error_response(
                        400,
                        "InvalidInput",
                        "Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix.",
                    ),
                    "kafka.amazonaws.com" => error_response(403, "AccessDenied", "not allowed"),
                    _ => query_response("CreateServiceLinkedRole", "<Role/>"),
                }
            }
            _ => None,
        })
        .await
    }

    #[tokio::test]
    async fn missing_roles_are_created_before_the_first_stack_and_waited_for() {
        let created = Arc::new(Mutex::new(Vec::new()));
        let endpoint = account(created.clone()).await;
        let clock = Clock::at_speed(1000);
        let aws = endpoint.aws_session(clock, fixed("key", "secret")).await;
        let start = clock.now();
        let (ui, _) = Ui::recording();
        ensure(&aws, &ui, &plan("prod")).await;
        let expected = [
            "ecs.application-autoscaling.amazonaws.com",
            "kafka.application-autoscaling.amazonaws.com",
            "ecs.amazonaws.com",
            "elasticloadbalancing.amazonaws.com",
            "kafka.amazonaws.com",
        ];
        assert_eq!(*created.lock(), expected);
        assert!(clock.since(start) >= PROPAGATION);
    }
}
