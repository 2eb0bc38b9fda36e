//! Parsing of a template into its sections.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::yaml;
use endpoint_core::AwsError;

/// A template whose sections have the right form; [`crate::validate`] checks its references.
#[derive(Debug, Clone, Default)]
pub struct Template {
    pub description: Option<String>,
    pub metadata: Option<Value>,
    pub parameters: IndexMap<String, Value>,
    pub mappings: Map<String, Value>,
    pub conditions: IndexMap<String, Value>,
    pub resources: IndexMap<String, TemplateResource>,
    pub outputs: IndexMap<String, TemplateOutput>,
}

/// One resource of a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateResource {
    pub resource_type: String,
    pub properties: Map<String, Value>,
    pub depends_on: Vec<String>,
    pub condition: Option<String>,
    pub deletion_policy: Option<String>,
    pub update_replace_policy: Option<String>,
    pub metadata: Option<Value>,
    pub update_policy: Option<Value>,
}

/// One output of a template.
#[derive(Debug, Clone)]
pub struct TemplateOutput {
    pub value: Value,
    pub description: Option<String>,
    pub export: Option<Value>,
    pub condition: Option<String>,
}

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
];
const ATTRIBUTES: &[&str] = &[
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
    "UpdatePolicy",
    "CreationPolicy",
];
const POLICIES: &[&str] = &["Delete", "Retain", "Snapshot", "RetainExceptOnCreate"];

impl Template {
    /// Parses JSON or YAML.
    ///
    /// # Errors
    /// `ValidationError` that names the section or the resource.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        let parsed = yaml::parse(text).map_err(|error| malformed(&error.to_string()))?;
        let Value::Object(sections) = parsed else {
            return Err(malformed("unsupported structure."));
        };
        if let Some(path) = null_in(&Value::Object(sections.clone()), String::new()) {
            return Err(malformed(&format!("[{path}] Null values are not allowed in templates")));
        }
        if let Some(transform) = sections.get("Transform") {
            let name = transform.as_str().map_or_else(|| transform.to_string(), str::to_owned);
            return Err(AwsError::validation(format!(
                "The template's Transform {name} is not supported by the embedded endpoint: expand it before deploying."
            )));
        }
        if let Some(unknown) = sections.keys().find(|k| !SECTIONS.contains(&k.as_str())) {
            return Err(match unknown.as_str() {
                "Rules" | "Hooks" => AwsError::validation(format!(
                    "The template's section {unknown} is not supported by the embedded endpoint."
                )),
                _ => AwsError::validation(format!("Invalid template property or properties [{unknown}]")),
            });
        }
        if sections
            .get("AWSTemplateFormatVersion")
            .is_some_and(|v| v != "2010-09-09")
        {
            return Err(malformed(&format!(
                "{} is not a supported value for AWSTemplateFormatVersion.",
                sections["AWSTemplateFormatVersion"]
            )));
        }
        let resources = section(&sections, "Resources")?;
        if resources.is_empty() {
            return Err(malformed("At least one Resources member must be defined."));
        }
        Ok(Self {
            description: sections.get("Description").and_then(Value::as_str).map(str::to_owned),
            metadata: sections.get("Metadata").cloned(),
            parameters: section(&sections, "Parameters")?.into_iter().collect(),
            mappings: section(&sections, "Mappings")?,
            conditions: section(&sections, "Conditions")?.into_iter().collect(),
            resources: resources
                .into_iter()
                .map(|(id, v)| Ok((id.clone(), resource(&id, v)?)))
                .collect::<Result<_, AwsError>>()?,
            outputs: section(&sections, "Outputs")?
                .into_iter()
                .map(|(id, v)| Ok((id.clone(), output(&id, &v)?)))
                .collect::<Result<_, AwsError>>()?,
        })
    }
}

/// Returns `Template format error: …` as a `ValidationError`.
pub fn malformed(reason: &str) -> AwsError {
    AwsError::validation(format!("Template format error: {reason}"))
}

fn section(sections: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, AwsError> {
    match sections.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(section)) => Ok(section.clone()),
        Some(_) => Err(malformed(&format!("{name} must be an object."))),
    }
}

fn resource(id: &str, value: Value) -> Result<TemplateResource, AwsError> {
    let Value::Object(mut value) = value else {
        return Err(malformed(&format!("Resource {id} must be an object.")));
    };
    if !id.chars().all(|c| c.is_ascii_alphanumeric()) || id.is_empty() {
        return Err(malformed(&format!("Resource name {id} is non alphanumeric.")));
    }
    if let Some(unknown) = value.keys().find(|k| !ATTRIBUTES.contains(&k.as_str())) {
        return Err(AwsError::validation(format!(
            "Invalid template resource property '{unknown}' in resource {id}"
        )));
    }
    let Some(Value::String(resource_type)) = value.remove("Type") else {
        return Err(malformed(&format!(
            "[/Resources/{id}] Every Resources object must contain a Type member."
        )));
    };
    let properties = match value.remove("Properties") {
        None => Map::new(),
        Some(Value::Object(properties)) => properties,
        Some(_) => return Err(malformed(&format!("[/Resources/{id}/Properties] must be an object."))),
    };
    let depends_on = match value.remove("DependsOn") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => {
            return Err(malformed(&format!(
                "[/Resources/{id}/DependsOn] must be a string or a list of strings."
            )));
        }
    };
    let mut text = |name: &str| value.remove(name).and_then(|v| v.as_str().map(str::to_owned));
    let (condition, deletion_policy, update_replace_policy) =
        (text("Condition"), text("DeletionPolicy"), text("UpdateReplacePolicy"));
    for policy in [&deletion_policy, &update_replace_policy].into_iter().flatten() {
        if !POLICIES.contains(&policy.as_str()) {
            return Err(malformed(&format!(
                "Unrecognized DeletionPolicy {policy} for resource {id}"
            )));
        }
    }
    Ok(TemplateResource {
        resource_type,
        properties,
        depends_on,
        condition,
        deletion_policy,
        update_replace_policy,
        metadata: value.remove("Metadata"),
        update_policy: value.remove("UpdatePolicy"),
    })
}

fn output(id: &str, value: &Value) -> Result<TemplateOutput, AwsError> {
    let found = value.get("Value").cloned();
    let value_of = found.ok_or_else(|| malformed(&format!("Output {id} must have a Value.")))?;
    let export = match value.get("Export") {
        None => None,
        Some(export) => Some(
            export
                .get("Name")
                .cloned()
                .ok_or_else(|| malformed(&format!("Output {id}'s Export must have a Name.")))?,
        ),
    };
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(TemplateOutput {
        value: value_of,
        description: text("Description"),
        export,
        condition: text("Condition"),
    })
}

/// Returns the path of the first null in a value.
fn null_in(value: &Value, path: String) -> Option<String> {
    match value {
        Value::Null => Some(path),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .find_map(|(i, v)| null_in(v, format!("{path}/{i}"))),
        Value::Object(map) => map.iter().find_map(|(k, v)| null_in(v, format!("{path}/{k}"))),
        _ => None,
    }
}
