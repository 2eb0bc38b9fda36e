//! Exports and the stacks that import them.

use serde_json::{Value, json};

use crate::exports;
use endpoint_core::{AwsError, Call, Context};

/// Handles `ListExports`.
pub fn list(cx: &Context) -> Result<Value, AwsError> {
    let exports = exports::exports(cx)?.into_iter();
    let exports: Vec<Value> = exports
        .map(|export| json!({"ExportingStackId": export.stack_id, "Name": export.name, "Value": export.value}))
        .collect();
    Ok(json!({"Exports": exports}))
}

/// Handles `ListImports`.
pub fn importers(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("ExportName")?;
    let imports = exports::importers(cx, &name)?;
    if imports.is_empty() {
        return Err(AwsError::validation(format!(
            "Export '{name}' is not imported by any stack."
        )));
    }
    Ok(json!({"Imports": imports}))
}
