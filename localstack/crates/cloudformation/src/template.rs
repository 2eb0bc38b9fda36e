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
    pub rules: IndexMap<String, Value>,
    pub conditions: IndexMap<String, Value>,
    pub resources: IndexMap<String, TemplateResource>,
    pub outputs: IndexMap<String, TemplateOutput>,
    /// True after the transform `AWS::LanguageExtensions`, which adds functions.
    pub is_extended: bool,
}

/// One resource of a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateResource {
    pub resource_type: String,
    pub properties: Map<String, Value>,
    pub depends_on: Vec<String>,
    pub condition: Option<String>,
    /// An expression; [`crate::policy`] evaluates it.
    pub deletion_policy: Option<Value>,
    /// An expression, as `deletion_policy`.
    pub update_replace_policy: Option<Value>,
    pub metadata: Option<Value>,
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
    "Rules",
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
];
/// Attributes of resource types that the endpoint does not have, such as Auto Scaling groups.
const UNSUPPORTED_ATTRIBUTES: &[&str] = &["CreationPolicy", "UpdatePolicy"];
const OUTPUT_MEMBERS: &[&str] = &["Value", "Description", "Export", "Condition"];
const PARAMETER_MEMBERS: &[&str] = &[
    "Type",
    "Default",
    "Description",
    "NoEcho",
    "AllowedValues",
    "AllowedPattern",
    "ConstraintDescription",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
];

impl Template {
    /// Parses JSON or YAML.
    ///
    /// # Errors
    /// `ValidationError` that names the section or the resource.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        Self::from_sections(&Self::sections(text)?)
    }

    /// Parses JSON or YAML into its sections.
    ///
    /// # Errors
    /// `ValidationError` for a text that is neither.
    pub fn sections(text: &str) -> Result<Map<String, Value>, AwsError> {
        match yaml::parse(text).map_err(|error| malformed(&error.to_string()))? {
            Value::Object(sections) => Ok(sections),
            _ => Err(malformed("unsupported structure.")),
        }
    }

    /// Returns the parameters and mappings alone, which a transform works with.
    ///
    /// # Errors
    /// As for `parse`.
    pub fn head(sections: &Map<String, Value>) -> Result<Self, AwsError> {
        let (parameters, mappings) = (section(sections, "Parameters")?, section(sections, "Mappings")?);
        parameters.iter().try_for_each(|(name, spec)| parameter(name, spec))?;
        mappings.iter().try_for_each(|(name, map)| mapping(name, map))?;
        Ok(Self {
            parameters: parameters.into_iter().collect(),
            mappings,
            ..Self::default()
        })
    }

    /// Parses the sections of a template.
    ///
    /// # Errors
    /// As for `parse`.
    pub fn from_sections(sections: &Map<String, Value>) -> Result<Self, AwsError> {
        if let Some(path) = null_in(&Value::Object(sections.clone()), String::new()) {
            return Err(AwsError::validation(format!(
                "[{path}] 'null' values are not allowed in templates"
            )));
        }
        if let Some(transform) = sections.get("Transform") {
            let name = transform.as_str().map_or_else(|| transform.to_string(), str::to_owned);
            return Err(AwsError::validation(format!(
                "The template's Transform {name} is not supported by the embedded endpoint: expand it before deploying."
            )));
        }
        if let Some(unknown) = sections.keys().find(|k| !SECTIONS.contains(&k.as_str())) {
            return Err(match unknown.as_str() {
                "Hooks" => AwsError::validation(format!(
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
        let resources = section(sections, "Resources")?;
        if resources.is_empty() {
            return Err(malformed("At least one Resources member must be defined."));
        }
        Ok(Self {
            description: text_member(sections, "Description", "the template")?,
            metadata: sections.get("Metadata").cloned(),
            rules: section(sections, "Rules")?.into_iter().collect(),
            conditions: section(sections, "Conditions")?.into_iter().collect(),
            resources: resources
                .into_iter()
                .map(|(id, v)| Ok((id.clone(), resource(&id, v)?)))
                .collect::<Result<_, AwsError>>()?,
            outputs: section(sections, "Outputs")?
                .into_iter()
                .map(|(id, v)| Ok((id.clone(), output(&id, &v)?)))
                .collect::<Result<_, AwsError>>()?,
            ..Self::head(sections)?
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
        return Err(malformed("Any Resources member must be an object."));
    };
    if !id.chars().all(|c| c.is_ascii_alphanumeric()) || id.is_empty() {
        return Err(malformed(&format!("Resource name {id} is non alphanumeric.")));
    }
    if let Some(attribute) = value.keys().find(|k| UNSUPPORTED_ATTRIBUTES.contains(&k.as_str())) {
        return Err(AwsError::validation(format!(
            "The attribute {attribute} of resource {id} is not supported by the embedded endpoint."
        )));
    }
    reject_unknown(&value, ATTRIBUTES, "resource", id)?;
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
    let metadata = match value.remove("Metadata") {
        Some(metadata) if !metadata.is_object() => {
            return Err(malformed(&format!("[/Resources/{id}/Metadata] must be an object.")));
        }
        metadata => metadata,
    };
    Ok(TemplateResource {
        resource_type,
        properties,
        depends_on,
        condition: text_member(&value, "Condition", &format!("resource {id}"))?,
        deletion_policy: value.remove("DeletionPolicy"),
        update_replace_policy: value.remove("UpdateReplacePolicy"),
        metadata,
    })
}

fn output(id: &str, value: &Value) -> Result<TemplateOutput, AwsError> {
    let Value::Object(members) = value else {
        return Err(malformed(&format!("Output {id} must be an object.")));
    };
    reject_unknown(members, OUTPUT_MEMBERS, "output", id)?;
    let missing = || malformed("Every Outputs member must contain a Value object");
    let value = members.get("Value").cloned().ok_or_else(missing)?;
    let export = match members.get("Export") {
        None => None,
        Some(export) => Some(
            export
                .get("Name")
                .cloned()
                .ok_or_else(|| malformed(&format!("Output {id}'s Export must have a Name.")))?,
        ),
    };
    let text = |name: &str| text_member(members, name, &format!("output {id}"));
    Ok(TemplateOutput {
        value,
        description: text("Description")?,
        export,
        condition: text("Condition")?,
    })
}

/// Checks the form of a parameter. The wording is CloudFormation's.
fn parameter(name: &str, spec: &Value) -> Result<(), AwsError> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(malformed(&format!("Parameter name {name} is non alphanumeric.")));
    }
    let Value::Object(members) = spec else {
        return Err(malformed(&format!("Parameter {name} must be an object.")));
    };
    reject_unknown(members, PARAMETER_MEMBERS, "parameter", name)?;
    match members.get("Type") {
        Some(Value::String(_)) => Ok(()),
        _ => Err(malformed("Every Parameters object must contain a Type member.")),
    }
}

/// Checks that a mapping has two levels. The wording is CloudFormation's.
fn mapping(name: &str, map: &Value) -> Result<(), AwsError> {
    let not_map = |name: &str| malformed(&format!("Every Mappings member {name} must be a map"));
    for (key, attributes) in map.as_object().ok_or_else(|| not_map(name))? {
        let mut values = attributes.as_object().ok_or_else(|| not_map(key))?.values();
        if values.any(|v| v.is_object() || v.as_array().is_some_and(|list| list.iter().any(Value::is_object))) {
            return Err(malformed("Every Mappings attribute must be a String or a List."));
        }
    }
    Ok(())
}

fn reject_unknown(members: &Map<String, Value>, known: &[&str], kind: &str, name: &str) -> Result<(), AwsError> {
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(AwsError::validation(format!(
            "Invalid template {kind} property '{unknown}' in {kind} {name}"
        ))),
        None => Ok(()),
    }
}

/// Returns a member that is text, and refuses any other form.
fn text_member(members: &Map<String, Value>, name: &str, owner: &str) -> Result<Option<String>, AwsError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(malformed(&format!("{name} of {owner} must be a string."))),
    }
}

/// Returns the path of the first null in a value. `!GetAZs` may have nothing after it.
fn null_in(value: &Value, path: String) -> Option<String> {
    match value {
        Value::Object(map) if map.len() == 1 && map.get("Fn::GetAZs").is_some_and(Value::is_null) => None,
        Value::Null => Some(path),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .find_map(|(i, v)| null_in(v, format!("{path}/{i}"))),
        Value::Object(map) => map.iter().find_map(|(k, v)| null_in(v, format!("{path}/{k}"))),
        _ => None,
    }
}
