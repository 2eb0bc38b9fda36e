//! STS: the caller's identity, which is always the root user of the account, and temporary credentials of roles.

mod assume_role;
pub mod session;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use session::Session;

use crate::records::iso;
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Sts)
}

struct Sts;

#[async_trait]
impl Service for Sts {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn is_global(&self) -> bool {
        true
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "GetCallerIdentity" => Ok(json!({
                "UserId": cx.account(), "Account": cx.account(), "Arn": format!("arn:aws:iam::{}:root", cx.account()),
            })),
            // Every key belongs to the only account.
            "GetAccessKeyInfo" => {
                call.required("AccessKeyId")?;
                Ok(json!({"Account": cx.account()}))
            }
            "GetSessionToken" => session_token(cx, &call),
            "AssumeRole" => assume_role::assume(cx, &call),
            other => Err(AwsError::not_implemented("sts", other)),
        }
    }
}

/// `GetSessionToken`: temporary credentials of the caller, the root user. They last 15 minutes to an hour, as those of a root user do.
fn session_token(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "ValidationError", &["DurationSeconds"])?;
    let asked = call.integer("DurationSeconds").unwrap_or(3600);
    if !(900..=129_600).contains(&asked) {
        let message = "DurationSeconds must be 900 to 129600.";
        return Err(AwsError::validation(message));
    }
    let expires = OffsetDateTime::now_utc() + Duration::seconds(asked.min(3600));
    let root = format!("arn:aws:iam::{}:root", cx.account());
    let (session, token) = Session::begin(cx, &root, "session", expires)?;
    Ok(json!({"Credentials": {
        "AccessKeyId": session.key_id, "SecretAccessKey": session.secret, "SessionToken": token,
        "Expiration": iso(session.expires * 1000),
    }}))
}
