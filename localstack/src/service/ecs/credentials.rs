//! The credentials endpoint of tasks (Amazon ECS Developer Guide, "Task IAM role").
//!
//! ECS serves credentials at 169.254.170.2. Tasks of this endpoint cannot reach that address, so their environment has a
//! full URL on loopback and an authorization token, which the AWS SDKs support ("Container credential provider").

use aws_lc_rs::constant_time;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::members::text;
use super::model::{self, Task};
use super::task_definition;
use crate::encryption;
use crate::service::iam;
use crate::service::sts::session::Session;
use crate::{AwsError, Context};

/// The HTTP route of a task's credentials.
pub const ROUTE: &str = "/_localstack/tasks/{task}/credentials";
const PURPOSE: &str = "ecs.credentials";
/// The lifetime of credentials from ECS.
const LIFETIME: Duration = Duration::hours(6);

/// Returns the environment variables with which AWS SDKs find the credentials of a task's role; none without a role.
pub fn variables(cx: &Context, task: &Task, definition: &Value) -> anyhow::Result<Vec<(String, String)>> {
    if role(task, definition).is_none() {
        return Ok(Vec::new());
    }
    let url = format!(
        "http://127.0.0.1:{}{}",
        cx.config().port,
        ROUTE.replace("{task}", &task.id)
    );
    Ok(vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI".into(), url),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN".into(),
            encryption::mac(cx, PURPOSE, &task.id)?,
        ),
    ])
}

/// Handles a task's request for credentials. Each response has new ones.
pub async fn respond(
    State(cx): State<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<axum::body::Body> {
    match document(&cx, &id, &headers) {
        Ok(document) => Json(document).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(json!({"code": error.code, "message": error.message}))).into_response()
        }
    }
}

fn document(cx: &Context, id: &str, headers: &HeaderMap) -> Result<Value, AwsError> {
    let expected = encryption::mac(cx, PURPOSE, id)?;
    let shown = headers
        .get(header::AUTHORIZATION)
        .map_or(&[][..], |value| value.as_bytes());
    // Checked first, so that a client without the token learns nothing about tasks.
    if constant_time::verify_slices_are_equal(expected.as_bytes(), shown).is_err() {
        let message = "The authorization token is not valid for this task.";
        return Err(AwsError::new("AccessDeniedException", message).with_status(403));
    }
    let missing = |message: &str| AwsError::new("NoSuchEntity", message).with_status(404);
    let (cx, task) = model::live_task(cx, id)?.ok_or_else(|| missing("The task is not running."))?;
    let definition = task_definition::named(&cx, &task.spec.task_definition)?;
    let role = role(&task, &definition).ok_or_else(|| missing("The task has no role."))?;
    if iam::with_arn(&cx, &role)?.is_none() {
        return Err(missing(&format!("The task's role {role} does not exist.")));
    }
    let expires = OffsetDateTime::now_utc() + LIFETIME;
    let (session, token) = Session::begin(&cx, &role, id, expires)?;
    let expiration = expires.replace_nanosecond(0).unwrap_or(expires).format(&Rfc3339);
    Ok(json!({
        "RoleArn": role, "AccessKeyId": session.key_id, "SecretAccessKey": session.secret, "Token": token,
        "Expiration": expiration.map_err(anyhow::Error::from)?,
    }))
}

/// Returns the ARN of a task's role: from `RunTask`, or from its definition.
fn role(task: &Task, definition: &Value) -> Option<String> {
    let role = text(&task.overrides, "taskRoleArn").or_else(|| text(definition, "taskRoleArn"));
    role.filter(|role| !role.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn a_task_gets_the_credentials_of_its_own_role_for_its_own_token() {
        let (cx, _folder) = context_with(vec![crate::service::ecs::service(), crate::service::iam::service()]);
        let trust = json!({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}});
        let properties = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust});
        let role = create(&cx, "AWS::IAM::Role", "Role", properties).await.unwrap();
        let arn = role.attributes["Arn"].as_str().unwrap().to_owned();
        let definition = json!({
            "Family": "f", "TaskRoleArn": arn, "ContainerDefinitions": [{"Name": "c", "Image": "i"}],
        });
        let definition = create(&cx, "AWS::ECS::TaskDefinition", "D", definition).await.unwrap();
        let task = |id: &str| -> Task {
            serde_json::from_value(json!({
                "id": id, "cluster": "c", "address": "127.0.0.1", "last_status": "Running", "stopping": false,
                "failed": false, "end_recorded": false, "created": 0, "containers": [], "tags": {},
                "spec": {
                    "task_definition": definition.physical_id, "minimum_percent": 0, "maximum_percent": 0,
                    "circuit_breaker": false, "rollback": false, "load_balancers": [], "registries": [],
                    "security_groups": [], "network": null, "grace_seconds": 0, "launch_type": "FARGATE",
                    "enable_execute_command": false, "propagate_tags": "NONE",
                },
            }))
            .unwrap()
        };
        let (one, other) = (task("one"), task("other"));
        one.put(&cx).unwrap();
        let live = task_definition::named(&cx, &one.spec.task_definition).unwrap();
        let shown = |task: &Task| {
            let variables = variables(&cx, task, &live).unwrap();
            assert!(
                variables[0]
                    .1
                    .ends_with(&format!("/_localstack/tasks/{}/credentials", task.id))
            );
            HeaderMap::from_iter([(header::AUTHORIZATION, variables[1].1.parse().unwrap())])
        };

        let document = super::document(&cx, "one", &shown(&one)).unwrap();
        let session = Session::of(&cx, document["Token"].as_str().unwrap()).expect("a session");
        assert_eq!((session.role.as_str(), session.name.as_str()), (arn.as_str(), "one"));
        assert_eq!(document["AccessKeyId"], session.key_id.as_str());
        let ends = OffsetDateTime::parse(document["Expiration"].as_str().unwrap(), &Rfc3339).unwrap();
        assert!(session.is_over(ends) && !session.is_over(ends - Duration::minutes(1)));
        let again = super::document(&cx, "one", &shown(&one)).unwrap();
        assert_ne!(
            again["AccessKeyId"], document["AccessKeyId"],
            "each response has new credentials"
        );

        let rejected = |id: &str, headers: &HeaderMap| super::document(&cx, id, headers).unwrap_err().status;
        assert_eq!(rejected("one", &shown(&other)), 403);
        assert_eq!(rejected("one", &HeaderMap::new()), 403);
        assert_eq!(rejected("other", &shown(&other)), 404, "it is not running");
    }
}
