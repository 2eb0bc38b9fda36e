//! Resources that CloudFormation reports complete and that do not exist: some imitations of AWS skip types that they do not know, or
//! record databases without running them.

use std::io::ErrorKind;
use std::time::Duration;

use aws::cloudformation::{StackResource, find_stack, stack_resources};
use aws::endpoint::Support;
use aws::{Capability, Session};
use futures::future::try_join_all;
use platform::stacks::{Plan, Stack};
use serde::Serialize;
use tokio::net::TcpStream;

use super::fallback::is_optional;
use super::{Error, Result};

/// The physical ID of LocalStack for a resource of an unknown type that it reports complete (localstack-core, `MOCKED_REFERENCE`).
const MOCKED_REFERENCE: &str = "unknown";

/// A resource of a complete stack that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnbackedResource {
    pub stack: String,
    #[serde(rename = "resource")]
    pub logical_id: String,
    pub resource_type: String,
    pub evidence: String,
}

/// Returns the unbacked resources of all stacks of a plan, as far as they can be recognized from outside.
pub async fn find_unbacked(aws: &Session, plan: &Plan) -> Result<Vec<UnbackedResource>> {
    let found = try_join_all(plan.stacks.iter().map(|stack| unbacked_in(aws, stack))).await?;
    Ok(found.concat())
}

/// Checks that the resources of complete stacks exist; returns warnings about those that services do not need.
///
/// # Errors
/// Services need an unbacked resource, unless `stacks_only`, or a request fails.
pub async fn check_backing(aws: &Session, plan: &Plan, stacks_only: bool) -> Result<Vec<String>> {
    let found = find_unbacked(aws, plan).await?.into_iter();
    let (optional, needed): (Vec<_>, Vec<_>) = found.partition(|one| is_optional(&one.resource_type));
    let mut warnings: Vec<String> = optional.iter().map(ToString::to_string).collect();
    if stacks_only {
        let needed = needed.iter();
        warnings.extend(needed.map(|one| format!("{one}: services that depend on it are not running")));
    } else if !needed.is_empty() {
        return Err(Error::Unbacked {
            endpoint: aws.endpoint().to_string(),
            resources: needed,
            condition: match aws.endpoint().support(Capability::RunsTasks) {
                Support::Conditional(condition) => Some(condition),
                _ => None,
            },
        });
    }
    Ok(warnings)
}

async fn unbacked_in(aws: &Session, planned: &Stack) -> Result<Vec<UnbackedResource>> {
    let existing = stack_resources(aws, &planned.name).await?;
    let mut found = Vec::new();
    for (id, resource) in planned.template["Resources"].as_object().into_iter().flatten() {
        let listed = existing.iter().find(|listed| listed.logical_id == *id);
        let evidence = match listing_evidence(id, listed) {
            Some(evidence) => evidence.to_owned(),
            None => match database_evidence(aws, planned, id).await? {
                Some(evidence) => evidence,
                None => continue,
            },
        };
        found.push(UnbackedResource {
            stack: planned.name.clone(),
            logical_id: id.clone(),
            resource_type: resource["Type"].as_str().unwrap_or_default().to_owned(),
            evidence,
        });
    }
    Ok(found)
}

/// Returns the evidence in the stack's list of resources that one of them does not exist.
fn listing_evidence(id: &str, listed: Option<&StackResource>) -> Option<&'static str> {
    match listed {
        // moto
        None => Some("the endpoint skipped it"),
        // floci
        Some(listed) if listed.status.ends_with("_FAILED") => Some("it failed, although the stack is complete"),
        // fakecloud records resources of unknown types under their logical IDs.
        Some(listed) if listed.physical_id == MOCKED_REFERENCE || listed.physical_id == id => {
            Some("the endpoint does not support its type, and reports it complete")
        }
        Some(_) => None,
    }
}

/// Returns the evidence that a database does not run: nothing listens at its address in the stack's outputs.
async fn database_evidence(aws: &Session, planned: &Stack, id: &str) -> Result<Option<String>> {
    if planned.template["Resources"][id]["Type"] != "AWS::RDS::DBInstance" {
        return Ok(None);
    }
    let outputs = planned.template["Outputs"].as_object();
    let named = |attribute: &str| {
        let value = serde_json::json!({ "Fn::GetAtt": [id, attribute] });
        let mut outputs = outputs.into_iter().flatten();
        outputs
            .find(|(_, output)| output["Value"] == value)
            .map(|(name, _)| name.clone())
    };
    let (Some(host), Some(port)) = (named("Endpoint.Address"), named("Endpoint.Port")) else {
        return Ok(None);
    };
    let Some(existing) = find_stack(aws, &planned.name).await? else {
        return Ok(None);
    };
    let value = |name: &str| existing.outputs.get(name).cloned().unwrap_or_default();
    Ok(address_evidence(&value(&host), &value(&port)).await)
}

/// Returns the evidence in a database's address. Only a refused connection proves something, or a name of AWS, where no imitation runs
/// anything: a name that does not resolve on this machine may resolve in the tasks.
async fn address_evidence(host: &str, port: &str) -> Option<String> {
    if host.ends_with(".amazonaws.com") {
        return Some(format!("{host} is a name of AWS, where it is not running"));
    }
    let address = format!("{host}:{port}");
    if port.parse::<u16>().is_err() {
        return Some(format!("its address is {address:?}"));
    }
    match tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(&address)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Some(format!("nothing listens at {address}")),
        _ => None,
    }
}

impl std::fmt::Display for UnbackedResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            stack,
            logical_id,
            resource_type,
            evidence,
        } = self;
        write!(f, "{stack}: {logical_id} ({resource_type}): {evidence}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unbacked_resource_is_recognized_in_the_list_of_resources() {
        let listed = |physical_id: &str, status: &str| StackResource {
            logical_id: "Broker".into(),
            physical_id: physical_id.into(),
            resource_type: "AWS::MSK::Cluster".into(),
            status: status.into(),
        };
        assert_eq!(
            listing_evidence("Broker", Some(&listed("arn:aws:kafka:…", "CREATE_COMPLETE"))),
            None
        );
        for physical in ["unknown", "Broker"] {
            assert!(
                listing_evidence("Broker", Some(&listed(physical, "CREATE_COMPLETE"))).is_some(),
                "{physical}"
            );
        }
        assert!(listing_evidence("Broker", Some(&listed("b-1", "CREATE_FAILED"))).is_some());
        assert!(listing_evidence("Broker", None).is_some());
    }

    #[tokio::test]
    async fn a_database_is_unbacked_only_if_its_address_refuses_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port().to_string();
        assert_eq!(address_evidence("127.0.0.1", &port).await, None);
        drop(listener);
        let evidence = format!("nothing listens at 127.0.0.1:{port}");
        assert_eq!(address_evidence("127.0.0.1", &port).await, Some(evidence));
        assert!(
            address_evidence("shop.c1.us-east-1.rds.amazonaws.com", "5432")
                .await
                .is_some()
        );
        assert_eq!(address_evidence("name.that.is.nowhere.invalid", "5432").await, None);
        assert!(address_evidence("127.0.0.1", "unknown").await.is_some());
    }
}
