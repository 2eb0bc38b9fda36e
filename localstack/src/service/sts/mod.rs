//! STS: the caller's identity, which is always the root user of the account, and temporary credentials of roles.

mod assume_role;
pub mod session;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::service::Call;
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
            "AssumeRole" => assume_role::assume(cx, &call),
            other => Err(AwsError::not_implemented("sts", other)),
        }
    }
}
