//! Exports of all stacks.

use crate::stack;
use endpoint_core::Context;

/// One exported output.
pub struct Export {
    pub name: String,
    pub value: String,
    pub stack_id: String,
}

/// Returns every export.
///
/// # Errors
/// When the state cannot be read.
pub fn exports(cx: &Context) -> anyhow::Result<Vec<Export>> {
    let mut exports = Vec::new();
    for stack in stack::all(cx)?.into_iter().filter(|stack| !stack.is_deleted()) {
        for output in stack.outputs {
            if let Some(name) = output.export {
                exports.push(Export {
                    name,
                    value: output.value,
                    stack_id: stack.id.clone(),
                });
            }
        }
    }
    Ok(exports)
}

/// Returns the names of the stacks that import an export.
///
/// # Errors
/// When the state cannot be read.
pub fn importers(cx: &Context, export: &str) -> anyhow::Result<Vec<String>> {
    let stacks = stack::all(cx)?.into_iter();
    let importers = stacks.filter(|stack| !stack.is_deleted() && stack.imports.contains(export));
    Ok(importers.map(|stack| stack.name).collect())
}
