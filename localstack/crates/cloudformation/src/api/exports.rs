//! Exports and who imports them.

use serde_json::{Value, json};

use super::super::engine;
use endpoint_core::{AwsError, Call, Context};

pub fn list(cx: &Context) -> Result<Value, AwsError> {
    let found = engine::exports(cx)?.into_iter();
    let exports: Vec<Value> = found
        .map(|(name, value, stack)| json!({"ExportingStackId": stack, "Name": name, "Value": value}))
        .collect();
    Ok(json!({"Exports": exports}))
}

pub fn importers(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("ExportName")?;
    let imports = engine::importers(cx, &name)?;
    if imports.is_empty() {
        return Err(AwsError::validation(format!(
            "Export '{name}' is not imported by any stack."
        )));
    }
    Ok(json!({"Imports": imports}))
}
