//! The transforms `AWS::LanguageExtensions` and `AWS::Include`: they make the processed template, which is deployed, of the original one.

mod include;
mod known;
mod loops;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::object_reader::ObjectReader;
use crate::parameter;
use crate::scope::Scope;
use crate::stack::Stack;
use crate::stack_scope::stack_scope;
use crate::template::Template;
use endpoint_core::{AwsError, Call, Context};

const INCLUDE: &str = "AWS::Include";
const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";
/// The function that applies a transform to a part of a template.
const FUNCTION: &str = "Fn::Transform";

/// A template after its transforms.
pub struct Processed {
    pub template: Template,
    /// The template's text; `None` for a template without transforms.
    pub text: Option<String>,
    /// The names of the transforms that the template has.
    pub transforms: Vec<String>,
}

/// Processes the template of a request. Its parameters are those of the request, or the stack's previous ones.
///
/// # Errors
/// `ValidationError` for a malformed template, or a transform that fails or that the endpoint does not have.
pub async fn process(
    cx: &Context,
    call: &Call,
    objects: ObjectReader,
    stack: &Stack,
    body: &str,
) -> Result<Processed, AwsError> {
    let sections = Template::sections(body)?;
    let transforms = names(&sections)?;
    if transforms.is_empty() {
        return Ok(Processed {
            template: Template::from_sections(&sections)?,
            text: None,
            transforms,
        });
    }
    // An included part may declare parameters too: only those of the original template have values here.
    let head = Template::head(&sections)?;
    let mut given = call.list("Parameters");
    given.retain(|entry| {
        let key = entry["ParameterKey"].as_str();
        key.is_some_and(|key| head.parameters.contains_key(key))
    });
    let parameters = parameter::gather(&head, &given, &stack.definition.parameters)?;
    let values = parameter::values(cx, &head, &parameters).await?;
    let hidden = head.parameters.iter().filter(|(_, spec)| parameter::no_echo(spec));
    let transformation = Transformation {
        scope: stack_scope(cx, stack, &head, &values, &IndexMap::new()).await?,
        hidden: hidden.map(|(name, _)| name.clone()).collect(),
        cx: cx.clone(),
        objects,
    };
    let sections = tokio::task::spawn_blocking(move || transformation.apply(sections))
        .await
        .map_err(|error| AwsError::internal(error.to_string()))??;
    let mut template = Template::from_sections(&sections)?;
    template.is_extended = transforms.iter().any(|name| name == LANGUAGE_EXTENSIONS);
    Ok(Processed {
        template,
        text: Some(Value::Object(sections).to_string()),
        transforms,
    })
}

/// Input of the transforms of one template.
struct Transformation {
    /// Parameters, pseudo parameters and mappings.
    scope: Scope,
    /// `NoEcho` parameters, whose values the processed template must not show.
    hidden: BTreeSet<String>,
    cx: Context,
    objects: ObjectReader,
}

impl Transformation {
    /// Applies the transforms of the template's parts, then those of the section `Transform` in their order.
    fn apply(&self, mut sections: Map<String, Value>) -> Result<Map<String, Value>, AwsError> {
        let declared = sections.shift_remove("Transform");
        let mut sections = self.include_parts(sections)?;
        for transform in declared.as_ref().map(each).unwrap_or_default() {
            if name(transform) == Some(INCLUDE) {
                self.include(transform, &mut sections)?;
            } else {
                sections = self.known_sections(self.expand_loops(sections)?)?;
            }
        }
        Ok(sections)
    }

    /// Returns the object in S3 that an `AWS::Include` names, as `s3://BUCKET/KEY`.
    fn read(&self, location: &str) -> Result<Vec<u8>, AwsError> {
        let bucket = location
            .trim_start_matches("s3://")
            .split('/')
            .next()
            .unwrap_or_default();
        let object = (self.objects)(&self.cx, location).map_err(|error| match error.code.as_ref() {
            _ if error.status >= 500 => error,
            "NoSuchBucket" => failed(INCLUDE, &format!("S3 bucket [{bucket}] does not exist.")),
            _ => failed(INCLUDE, &error.message),
        })?;
        object.ok_or_else(|| failed(INCLUDE, "The location parameter is not a valid S3 uri."))
    }
}

/// Returns the names of a template's transforms.
///
/// # Errors
/// `ValidationError` for one that the endpoint does not have.
pub fn names(sections: &Map<String, Value>) -> Result<Vec<String>, AwsError> {
    let mut names = Vec::new();
    for transform in sections.get("Transform").map(each).unwrap_or_default() {
        match name(transform) {
            Some(known @ (INCLUDE | LANGUAGE_EXTENSIONS)) => names.push(known.to_owned()),
            found => return Err(unknown(found)),
        }
    }
    part_names(&Value::Object(sections.clone()), &mut names)?;
    names.dedup();
    Ok(names)
}

/// Collects the names of the transforms of parts of a template.
fn part_names(value: &Value, names: &mut Vec<String>) -> Result<(), AwsError> {
    match value {
        Value::Array(list) => list.iter().try_for_each(|item| part_names(item, names)),
        Value::Object(object) => {
            for (key, member) in object {
                if key != FUNCTION {
                    part_names(member, names)?;
                    continue;
                }
                for transform in each(member) {
                    match name(transform) {
                        Some(INCLUDE) => names.push(INCLUDE.to_owned()),
                        found => return Err(unknown(found)),
                    }
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Returns the transforms of a declaration, which is one or a list.
fn each(declared: &Value) -> Vec<&Value> {
    match declared {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

/// Returns the name of a transform: a text, or the member `Name`.
fn name(transform: &Value) -> Option<&str> {
    transform.as_str().or_else(|| transform["Name"].as_str())
}

fn unknown(name: Option<&str>) -> AwsError {
    AwsError::validation(match name {
        None => "Key Name of transform definition must be a string.".to_owned(),
        Some(name) if name.starts_with("AWS::") => format!(
            "The template's Transform {name} is not supported by the embedded endpoint: expand it before deploying."
        ),
        Some(name) => format!("No transform named {name} found."),
    })
}

/// Returns true for the error of a transform, which makes a change set fail instead of refusing it.
pub fn is_failure(error: &AwsError) -> bool {
    error.message.starts_with("Transform ") && error.message.contains(" failed with: ")
}

/// Returns the error of a transform.
fn failed(name: &str, reason: &str) -> AwsError {
    AwsError::validation(format!("Transform {name} failed with: {reason}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transformed(template: Value) -> Result<Value, AwsError> {
        let Value::Object(sections) = template else {
            unreachable!()
        };
        let folder = tempfile::tempdir().unwrap();
        let mut scope = Scope::default();
        scope.names.insert("Names".into(), json!(["Alpha", "be-ta"]));
        scope.names.insert("Secret".into(), "hidden".into());
        scope.names.insert("AWS::Region".into(), "eu-west-1".into());
        scope.mappings = json!({"Sizes": {"dev": {"Cpu": 256}}}).as_object().unwrap().clone();
        let transformation = Transformation {
            scope,
            hidden: ["Secret".to_owned()].into(),
            cx: endpoint_core::testing::context_in(folder.path(), 77),
            objects: |_, url| {
                assert_eq!(url, "s3://b/part");
                Ok(Some(b"Value: included\nType: String".to_vec()))
            },
        };
        transformation.apply(sections).map(Value::Object)
    }

    fn extended(resources: Value) -> Result<Value, AwsError> {
        transformed(json!({"Transform": LANGUAGE_EXTENSIONS, "Resources": resources})).map(|t| t["Resources"].clone())
    }

    #[test]
    fn a_loop_makes_a_copy_for_each_item() {
        let made = extended(
            json!({"Fn::ForEach::Outer": ["N", {"Ref": "Names"}, {"P&{N}": {"Type": "T", "Properties": {
                "A": {"Ref": "N"}, "B": "${N}", "C": {"Fn::Sub": "${N}.${AWS::Region}"},
                "Fn::ForEach::Inner": ["M", ["1"], {"D${M}": {"Fn::Join": ["-", [{"Ref": "N"}, {"Ref": "M"}]]}}],
            }}}]}),
        );
        let copy = |n: &str| json!({"Type": "T", "Properties": {"A": n, "B": n, "C": format!("{n}.eu-west-1"), "D1": format!("{n}-1")}});
        assert_eq!(made.unwrap(), json!({"PAlpha": copy("Alpha"), "Pbeta": copy("be-ta")}));
    }

    #[test]
    fn functions_of_known_values_are_replaced_and_others_stay() {
        let expression = json!({
            "Count": {"Fn::Length": {"Ref": "Names"}},
            "Json": {"Fn::ToJsonString": {"a": {"Ref": "Names"}, "b": 1}},
            "Default": {"Fn::FindInMap": ["Sizes", "prod", "Cpu", {"DefaultValue": 512}]},
            "Computed": {"Ref": {"Fn::Join": ["", ["R", "1"]]}},
            "Later": {"Fn::ToJsonString": {"Arn": {"Fn::GetAtt": ["R1", "Arn"]}}},
            "Hidden": {"Fn::Sub": "${Secret}"},
        });
        let made = extended(json!({"R": {"Properties": expression}})).unwrap();
        let expected = json!({
            "Count": 2, "Json": r#"{"a":["Alpha","be-ta"],"b":1}"#, "Default": 512, "Computed": {"Ref": "R1"},
            "Later": expression["Later"], "Hidden": expression["Hidden"],
        });
        assert_eq!(made["R"]["Properties"], expected);
    }

    #[test]
    fn a_malformed_loop_is_refused() {
        for (key, declared) in [
            ("Fn::ForEach::L", json!(["N", ["a"]])),
            ("Fn::ForEach::L", json!(["N", "a", {"${N}": 1}])),
            ("Fn::ForEach::L", json!(["N", {"Fn::GetAtt": ["R", "A"]}, {"${N}": 1}])),
            ("Fn::ForEach::L", json!(["N", ["a", "b"], {"Same": 1}])),
            ("Fn::ForEach", json!(["N", ["a"], {"${N}": 1}])),
        ] {
            let mut resources = Map::new();
            resources.insert(key.to_owned(), declared);
            let error = extended(Value::Object(resources)).unwrap_err();
            assert!(
                error
                    .message
                    .starts_with("Transform AWS::LanguageExtensions failed with: "),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn an_included_part_is_merged_where_it_is_named() {
        let include = json!({"Name": INCLUDE, "Parameters": {"Location": {"Fn::Join": ["", ["s3://b", "/part"]]}}});
        let made =
            transformed(json!({"Resources": {"P": {"Properties": {"Name": "n", "Fn::Transform": include.clone()}}}}));
        let properties = json!({"Name": "n", "Value": "included", "Type": "String"});
        assert_eq!(made.unwrap(), json!({"Resources": {"P": {"Properties": properties}}}));
        let made = transformed(json!({"Transform": [include], "Description": "d"})).unwrap();
        assert_eq!(made, json!({"Description": "d", "Value": "included", "Type": "String"}));
    }
}
