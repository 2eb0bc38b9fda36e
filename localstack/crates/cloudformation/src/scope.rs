//! The names that a template's expressions can refer to, with their values.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// Stands for a value that is only known after a resource is created; the wording is AWS's.
pub const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// The values of `Ref` and `Fn::GetAtt` for one resource.
#[derive(Debug, Clone, Default)]
pub struct ResourceValues {
    pub physical_id: String,
    pub attributes: Map<String, Value>,
}

/// Everything that an expression can refer to.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Parameters and pseudo parameters; lists are arrays.
    pub names: HashMap<String, Value>,
    pub mappings: Map<String, Value>,
    pub conditions: HashMap<String, bool>,
    pub exports: HashMap<String, String>,
    pub resources: IndexMap<String, ResourceValues>,
    /// True before an operation: resources that do not exist yet are [`UNKNOWN`] instead of an error.
    pub preview: bool,
    /// The names of the exports that expressions imported.
    pub imported: Arc<Mutex<BTreeSet<String>>>,
}

impl Scope {
    /// Returns the value of a condition; true for no condition.
    pub fn condition_holds(&self, condition: Option<&str>) -> bool {
        condition.is_none_or(|name| self.conditions.get(name).copied().unwrap_or(false))
    }
}

/// Returns the text of a scalar; lists of scalars are joined by commas, like list parameters.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(list) => {
            let texts: Option<Vec<String>> = list.iter().map(|v| if v.is_array() { None } else { text(v) }).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}
