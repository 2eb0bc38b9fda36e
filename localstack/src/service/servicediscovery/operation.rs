//! Operations on namespaces, which are done when their call returns.

use serde_json::{Value, json};

use super::model::new_id;
use crate::records::{now, seconds};
use crate::service::Call;
use crate::{AwsError, Context};

const OPERATIONS: &str = "servicediscovery.operations";

/// Stores an operation on a namespace and returns the answer of its call.
pub fn done(cx: &Context, kind: &str, namespace: &str) -> Result<Value, AwsError> {
    let id = new_id("op");
    let operation = json!({
        "Id": id, "Type": kind, "Status": "SUCCESS", "CreateDate": seconds(now()), "UpdateDate": seconds(now()),
        "Targets": {"NAMESPACE": namespace},
    });
    cx.store().put(OPERATIONS, &id, &operation)?;
    Ok(json!({"OperationId": id}))
}

/// `GetOperation`.
pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("OperationId")?;
    let found: Option<Value> = cx.store().get(OPERATIONS, &id)?;
    let missing = || AwsError::new("OperationNotFound", format!("No operation has the id {id}."));
    Ok(json!({"Operation": found.ok_or_else(missing)?}))
}
