//! What CloudFormation calls complete and what is not there: some imitations of AWS skip what they do not know, or keep
//! books of databases that nobody runs.

use std::io::ErrorKind;
use std::time::Duration;

use futures::future::try_join_all;
use serde::Serialize;
use tokio::net::TcpStream;

use super::instead::is_dispensable;
use super::matrix::{Capability, Standing};
use crate::cloudformation::stack::{self, Resource};
use crate::error::{Error, Result};
use crate::stacks::{Plan, Stack};
use crate::target::Aws;
use ui::Ui;

/// The physical id that LocalStack gives to what it does not know and calls complete all the same (localstack-core,
/// `MOCKED_REFERENCE`).
const FALLBACK: &str = "unknown";

/// A resource of a complete stack that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hollow {
    pub stack: String,
    pub resource: String,
    pub kind: String,
    /// How that is known.
    pub evidence: String,
}

/// Looks at every stack of the plan. Finds nothing where nobody can know: what was looked at is what deployer can see
/// from here.
pub async fn look(aws: &Aws, plan: &Plan) -> Result<Vec<Hollow>> {
    let found = try_join_all(plan.stacks.iter().map(|stack| look_at(aws, stack))).await?;
    Ok(found.concat())
}

/// Tells what is hollow. An error when services cannot run without it, unless complete stacks are enough.
pub async fn verify(aws: &Aws, ui: &Ui, plan: &Plan, stacks_are_enough: bool) -> Result<()> {
    let (needed, spared): (Vec<Hollow>, Vec<Hollow>) = look(aws, plan)
        .await?
        .into_iter()
        .partition(|one| !is_dispensable(&one.kind));
    for one in &spared {
        ui.warn(one.to_string());
    }
    if needed.is_empty() {
        return Ok(());
    }
    if stacks_are_enough {
        for one in &needed {
            ui.warn(format!("{one}: what needs it does not run"));
        }
        return Ok(());
    }
    Err(Error::NothingRuns {
        endpoint: aws.endpoint.to_string(),
        hollow: needed,
        needs: match aws.endpoint.standing(Capability::TasksRun) {
            Standing::When(needs) => Some(needs),
            _ => None,
        },
    })
}

async fn look_at(aws: &Aws, planned: &Stack) -> Result<Vec<Hollow>> {
    let there = stack::resources(aws, &planned.name).await?;
    let mut hollow = Vec::new();
    for (id, resource) in planned.template["Resources"].as_object().into_iter().flatten() {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let found = there.iter().find(|found| found.logical == *id);
        let evidence = match claim(id, found) {
            Some(evidence) => evidence.to_owned(),
            None => match database(aws, planned, id).await? {
                Some(evidence) => evidence,
                None => continue,
            },
        };
        hollow.push(Hollow {
            stack: planned.name.clone(),
            resource: id.clone(),
            kind: kind.to_owned(),
            evidence,
        });
    }
    Ok(hollow)
}

/// What in the stack's own list of resources says that one of them does not exist.
fn claim(id: &str, found: Option<&Resource>) -> Option<&'static str> {
    match found {
        // moto
        None => Some("the endpoint skipped it"),
        // floci
        Some(found) if found.status.ends_with("_FAILED") => Some("it failed, and the stack is complete all the same"),
        // fakecloud records what it does not know under its logical id
        Some(found) if found.physical == FALLBACK || found.physical == id => {
            Some("the endpoint does not know its type, and calls it complete")
        }
        Some(_) => None,
    }
}

/// Why a database is known not to run: nobody takes connections where the stack's outputs say that it listens.
async fn database(aws: &Aws, planned: &Stack, id: &str) -> Result<Option<String>> {
    if planned.template["Resources"][id]["Type"] != "AWS::RDS::DBInstance" {
        return Ok(None);
    }
    let outputs = planned.template["Outputs"].as_object();
    let named = |attribute: &str| {
        let wanted = serde_json::json!({ "Fn::GetAtt": [id, attribute] });
        let mut outputs = outputs.into_iter().flatten();
        outputs
            .find(|(_, output)| output["Value"] == wanted)
            .map(|(name, _)| name.clone())
    };
    let (Some(host), Some(port)) = (named("Endpoint.Address"), named("Endpoint.Port")) else {
        return Ok(None);
    };
    let Some(existing) = stack::find(aws, &planned.name).await? else {
        return Ok(None);
    };
    let value = |name: &str| existing.outputs.get(name).cloned().unwrap_or_default();
    Ok(refused(&value(&host), &value(&port)).await)
}

/// Only a refusal proves anything, and a name that is AWS's own, where no imitation runs a thing: a name that this machine
/// does not know may be known where the tasks run.
async fn refused(host: &str, port: &str) -> Option<String> {
    if host.ends_with(".amazonaws.com") {
        return Some(format!("{host} is a name of AWS, where it does not run"));
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

/// A resource as a person reads it.
impl std::fmt::Display for Hollow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            stack,
            resource,
            kind,
            evidence,
        } = self;
        write!(f, "{stack}: {resource} ({kind}): {evidence}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_called_complete_is_seen_in_the_list_of_resources() {
        let listed = |physical: &str, status: &str| Resource {
            logical: "Broker".into(),
            physical: physical.into(),
            kind: "AWS::MSK::Cluster".into(),
            status: status.into(),
        };
        assert_eq!(
            claim("Broker", Some(&listed("arn:aws:kafka:…", "CREATE_COMPLETE"))),
            None
        );
        for physical in ["unknown", "Broker"] {
            assert!(
                claim("Broker", Some(&listed(physical, "CREATE_COMPLETE"))).is_some(),
                "{physical}"
            );
        }
        assert!(claim("Broker", Some(&listed("b-1", "CREATE_FAILED"))).is_some());
        assert!(claim("Broker", None).is_some());
    }

    #[tokio::test]
    async fn a_database_is_hollow_only_when_its_address_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port().to_string();
        assert_eq!(refused("127.0.0.1", &port).await, None);
        drop(listener);
        let evidence = format!("nothing listens at 127.0.0.1:{port}");
        assert_eq!(refused("127.0.0.1", &port).await, Some(evidence));
        assert!(refused("shop.c1.us-east-1.rds.amazonaws.com", "5432").await.is_some());
        assert_eq!(refused("name.that.is.nowhere.invalid", "5432").await, None);
        assert!(refused("127.0.0.1", "unknown").await.is_some());
    }
}
