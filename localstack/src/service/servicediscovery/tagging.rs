//! Tags of namespaces and services.

use serde_json::{Value, json};

use super::model::{NAMESPACES, SERVICES};
use crate::service::Call;
use crate::service::input::retag;
use crate::{AwsError, Context};

/// `ListTagsForResource`, `TagResource` and `UntagResource`.
pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("ResourceARN")?;
    let missing = || AwsError::new("ResourceNotFoundException", format!("{arn} does not exist."));
    let (kind, id) = arn
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(missing)?;
    let records = match kind {
        "namespace" => NAMESPACES,
        "service" => SERVICES,
        _ => return Err(missing()),
    };
    if call.operation == "ListTagsForResource" {
        let record = records.get(cx, id)?.ok_or_else(missing)?;
        return Ok(json!({"Tags": record.tag_list()}));
    }
    if retag(cx, records, id, &call.input["Tags"], &call.input["TagKeys"])? {
        Ok(json!({}))
    } else {
        Err(missing())
    }
}
