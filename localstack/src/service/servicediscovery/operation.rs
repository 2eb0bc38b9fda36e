//! Operations, which are done when their call returns.

use serde_json::{Value, json};

use super::filter;
use super::model::{NAMESPACES, random};
use crate::records::{now, scalar, seconds};
use crate::service::Call;
use crate::{AwsError, Context};

const OPERATIONS: &str = "servicediscovery.operations";
/// The number of operations that are kept; older ones are forgotten.
const MAX_KEPT: usize = 200;

/// Stores an operation on `targets`, ids by `NAMESPACE`, `SERVICE` and `INSTANCE`, and returns the answer of its call.
pub fn done(cx: &Context, kind: &str, targets: &Value) -> Result<Value, AwsError> {
    let id = format!("{}-{}", random(32), random(8));
    let operation = json!({
        "Id": id, "Type": kind, "Status": "SUCCESS", "CreateDate": seconds(now()), "UpdateDate": seconds(now()),
        "Targets": targets,
    });
    cx.store().transaction(|| -> anyhow::Result<()> {
        let mut all = newest_last(cx)?;
        for (oldest, _) in all.drain(..all.len().saturating_sub(MAX_KEPT - 1)) {
            cx.store().delete(OPERATIONS, &oldest)?;
        }
        cx.store().put(OPERATIONS, &id, &operation)
    })?;
    Ok(json!({"OperationId": id}))
}

fn newest_last(cx: &Context) -> anyhow::Result<Vec<(String, Value)>> {
    let mut all = cx.store().list::<Value>(OPERATIONS)?;
    let created = |operation: &Value| operation["CreateDate"].as_f64().unwrap_or_default();
    all.sort_by(|(_, a), (_, b)| created(a).total_cmp(&created(b)));
    Ok(all)
}

/// `GetOperation`.
pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("OperationId")?;
    let found: Option<Value> = cx.store().get(OPERATIONS, &id)?;
    let missing = || AwsError::new("OperationNotFound", format!("No operation has the id {id}."));
    Ok(json!({"Operation": found.ok_or_else(missing)?}))
}

/// `ListOperations`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found: Vec<Value> = newest_last(cx)?.into_iter().map(|(_, operation)| operation).collect();
    // The operations on a namespace are listed as long as it exists.
    let namespaces = NAMESPACES.list(cx)?;
    found.retain(|operation| {
        let namespace = operation["Targets"]["NAMESPACE"].as_str();
        namespace.is_none_or(|id| namespaces.iter().any(|one| one.id == id))
    });
    let known = ["NAMESPACE_ID", "SERVICE_ID", "STATUS", "TYPE"];
    filter::apply(call, &mut found, &known, |operation, name| {
        scalar(match name {
            "NAMESPACE_ID" => &operation["Targets"]["NAMESPACE"],
            "SERVICE_ID" => &operation["Targets"]["SERVICE"],
            "STATUS" => &operation["Status"],
            _ => &operation["Type"],
        })
    })?;
    let shown = found
        .iter()
        .map(|one| json!({"Id": one["Id"], "Status": one["Status"]}));
    filter::page_of(call, "Operations", shown.collect())
}
