//! Deletion protection as the services report it, and its removal by them: a stack whose creation, rollback or deletion failed cannot
//! be updated (AWS CloudFormation User Guide: Stack status codes).

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute;
use serde_json::{Value, json};

use super::Protection;
use super::template::{DATABASE, LOAD_BALANCER, LOAD_BALANCER_ATTRIBUTE, declares_protection};
use crate::cloudformation::error::Result;
use crate::cloudformation::stack::{Stack, StackResource, set_termination_protection};
use crate::error::Error;
use crate::session::Session;
use crate::signed_request::{DESCRIBE_DB_INSTANCES, MODIFY_DB_INSTANCE};

/// Timeout until a database that is being created or modified accepts the change and reports it.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Returns the protections of a stack and its resources: their state if the service reports it, else what the template declares.
pub async fn find_protections(
    aws: &Session,
    stack: &Stack,
    resources: &[StackResource],
    template: Option<&Value>,
) -> Vec<Protection> {
    let mut found = Vec::new();
    if stack.protected {
        found.push(Protection {
            stack: stack.name.clone(),
            logical_id: None,
            resource_type: "AWS::CloudFormation::Stack".into(),
            physical_id: stack.id.clone(),
            declared: false,
        });
    }
    let protectable = |resource: &&StackResource| {
        matches!(resource.resource_type.as_str(), LOAD_BALANCER | DATABASE) && !resource.physical_id.is_empty()
    };
    let states = resources.iter().filter(protectable).map(|resource| async move {
        let declared =
            template.is_some_and(|template| declares_protection(&template["Resources"][&resource.logical_id]));
        let state = if resource.resource_type == LOAD_BALANCER {
            is_load_balancer_protected(aws, &resource.physical_id).await
        } else {
            is_database_protected(aws, &resource.physical_id).await
        };
        let protected = match state {
            Ok(protected) => protected,
            Err(error) if error.is_not_found() => false,
            Err(_) => declared,
        };
        protected.then(|| Protection {
            stack: stack.name.clone(),
            logical_id: Some(resource.logical_id.clone()),
            resource_type: resource.resource_type.clone(),
            physical_id: resource.physical_id.clone(),
            declared,
        })
    });
    found.extend(futures::future::join_all(states).await.into_iter().flatten());
    found
}

/// Disables a protection, whatever the status of its stack. A resource that does not exist any more is not an error.
///
/// # Errors
/// A request fails, or a database does not accept the change in time.
pub async fn disable_protection(aws: &Session, protection: &Protection) -> Result<()> {
    let id = &protection.physical_id;
    let disabled = match (&protection.logical_id, protection.resource_type.as_str()) {
        (None, _) => return Ok(set_termination_protection(aws, id, false).await?),
        (Some(_), LOAD_BALANCER) => unprotect_load_balancer(aws, id).await,
        (Some(_), _) => return unprotect_database(aws, id).await,
    };
    match disabled {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

async fn is_load_balancer_protected(aws: &Session, arn: &str) -> Result<bool, Error> {
    let request = aws.elb.describe_load_balancer_attributes().load_balancer_arn(arn);
    let response = request.send().await?;
    let mut attributes = response.attributes().iter();
    Ok(attributes.any(|one| one.key() == Some(LOAD_BALANCER_ATTRIBUTE) && one.value() == Some("true")))
}

async fn unprotect_load_balancer(aws: &Session, arn: &str) -> Result<(), Error> {
    let off = LoadBalancerAttribute::builder()
        .key(LOAD_BALANCER_ATTRIBUTE)
        .value("false")
        .build();
    let request = aws.elb.modify_load_balancer_attributes();
    request.load_balancer_arn(arn).attributes(off).send().await?;
    Ok(())
}

async fn is_database_protected(aws: &Session, id: &str) -> Result<bool, Error> {
    let input = json!({ "DBInstanceIdentifier": id });
    let found = aws.signed.call(DESCRIBE_DB_INSTANCES, &input).await?;
    Ok(found["DBInstances"]["DBInstance"]["DeletionProtection"] == "true")
}

/// Disables the protection of a database, and waits until RDS reports it. A database that is being created or modified rejects the
/// change with `InvalidDBInstanceState` (Amazon RDS API Reference: `ModifyDBInstance`); it is asked again.
async fn unprotect_database(aws: &Session, id: &str) -> Result<()> {
    let wait = aws.wait(TIMEOUT);
    let input = json!({ "DBInstanceIdentifier": id, "DeletionProtection": "false", "ApplyImmediately": "true" });
    let mut requested = false;
    loop {
        if !requested {
            match aws.signed.call(MODIFY_DB_INSTANCE, &input).await {
                Ok(_) => requested = true,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) if error.code() == "InvalidDBInstanceState" => {}
                Err(error) => return Err(error.into()),
            }
        }
        match is_database_protected(aws, id).await {
            Ok(false) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Ok(true) => {}
            Err(error) => return Err(error.into()),
        }
        let state = || {
            Some(
                if requested {
                    "requested"
                } else {
                    "the database is not available"
                }
                .to_owned(),
            )
        };
        wait.check(
            || format!("the removal of the deletion protection of database {id}"),
            state,
        )?;
        wait.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::testing::{FakeAws, error_response};

    /// RDS with one database that is busy at the first change, and applies the second one after a poll.
    async fn busy_database(calls: Arc<Mutex<Vec<String>>>) -> FakeAws {
        FakeAws::start(move |call| {
            let mut calls = calls.lock();
            calls.push(call.operation.clone());
            let count = |name: &str| calls.iter().filter(|known| *known == name).count();
            match call.operation.as_str() {
                "ModifyDBInstance" if count("ModifyDBInstance") == 1 => {
                    error_response(400, "InvalidDBInstanceState", "Database instance is not in available state.")
                }
                "ModifyDBInstance" => {
                    assert_eq!(call.field("DeletionProtection"), "false");
                    Some((200, "<ModifyDBInstanceResponse><ModifyDBInstanceResult/></ModifyDBInstanceResponse>".into()))
                }
                _ if call.field("DBInstanceIdentifier") == "gone" => {
                    error_response(404, "DBInstanceNotFound", "DBInstance gone not found.")
                }
                _ => {
                    let protected = count("DescribeDBInstances") < 3;
                    let instance = format!("<DBInstance><DeletionProtection>{protected}</DeletionProtection></DBInstance>");
                    let result = format!("<DBInstances>{instance}</DBInstances>");
                    Some((200, format!("<DescribeDBInstancesResponse><DescribeDBInstancesResult>{result}</DescribeDBInstancesResult></DescribeDBInstancesResponse>")))
                }
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_database_is_asked_until_it_accepts_the_change_and_reports_it() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let endpoint = busy_database(calls.clone()).await;
        let aws = endpoint.session().await;
        let protection = |id: &str| Protection {
            stack: "shop-prod-data".into(),
            logical_id: Some("Db".into()),
            resource_type: DATABASE.into(),
            physical_id: id.into(),
            declared: true,
        };
        disable_protection(&aws, &protection("db-1"))
            .await
            .expect("it is disabled");
        let expected = ["ModifyDBInstance", "DescribeDBInstances"].repeat(2);
        assert_eq!(*calls.lock(), [expected, vec!["DescribeDBInstances"]].concat());
        assert!(
            is_database_protected(&aws, "gone")
                .await
                .expect_err("no such database")
                .is_not_found()
        );
    }
}
