//! IAM: roles and policies are stored, and their syntax is checked. Only the SASL proxies of brokers evaluate them.

pub mod access;
mod document;
mod model;
mod policy;
mod role;
mod service_linked_role;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub use model::{key_id, with_arn};

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
            record_type::<service_linked_role::ServiceLinkedRole>(),
            record_type::<policy::Policy>(),
            record_type::<policy::ManagedPolicy>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateServiceLinkedRole" => service_linked_role::create(cx, &call),
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
