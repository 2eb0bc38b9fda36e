//! IAM: roles and policies are kept and checked for form; only the brokers' doors ask what they allow.

pub mod access;
mod document;
mod policy;
mod role;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub use role::{key_id, with_arn};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Iam)
}

struct Iam;

#[async_trait]
impl Service for Iam {
    fn name(&self) -> &'static str {
        "iam"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<role::Role>(),
            record_type::<role::ServiceLinkedRole>(),
            record_type::<policy::Policy>(),
            record_type::<policy::ManagedPolicy>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "GetRole" => role::get(cx, &call),
            "ListRoles" => role::list(cx, &call),
            "ListRolePolicies" => {
                let names: Vec<String> = policy::inline(cx, &call)?.into_iter().map(|(name, _)| name).collect();
                Ok(json!({"PolicyNames": names, "IsTruncated": false}))
            }
            "GetRolePolicy" => policy::get_inline(cx, &call),
            "ListAttachedRolePolicies" => policy::attached(cx, &call),
            "GetPolicy" => policy::get(cx, &call),
            "ListPolicies" => policy::list(cx),
            other => Err(AwsError::not_implemented("iam", other)),
        }
    }
}

fn missing(what: &str, name: &str) -> AwsError {
    AwsError::new("NoSuchEntity", format!("The {what} with name {name} cannot be found.")).with_status(404)
}

fn exists(what: &str, name: &str) -> AwsError {
    AwsError::new(
        "EntityAlreadyExists",
        format!("{what} with name {name} already exists."),
    )
    .with_status(409)
}
