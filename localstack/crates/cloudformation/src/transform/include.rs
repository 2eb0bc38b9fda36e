//! `AWS::Include`: parts of a template that are objects in S3 (Template Reference, "`AWS::Include` transform").

use serde_json::{Map, Value};

use super::{FUNCTION, INCLUDE, Transformation, each, failed};
use crate::scope::text;
use crate::yaml;
use endpoint_core::AwsError;

impl Transformation {
    /// Replaces each `Fn::Transform` of a template by the members that it includes; those inside others come first.
    pub(super) fn include_parts(&self, object: Map<String, Value>) -> Result<Map<String, Value>, AwsError> {
        let mut included = Map::new();
        let mut transforms = Vec::new();
        for (key, value) in object {
            if key == FUNCTION {
                transforms.push(value);
            } else {
                included.insert(key, self.include_within(value)?);
            }
        }
        for transform in transforms.iter().flat_map(each) {
            self.include(transform, &mut included)?;
        }
        Ok(included)
    }

    fn include_within(&self, value: Value) -> Result<Value, AwsError> {
        match value {
            Value::Object(object) => self.include_parts(object).map(Value::Object),
            Value::Array(list) => list.into_iter().map(|item| self.include_within(item)).collect(),
            scalar => Ok(scalar),
        }
    }

    /// Merges what a transform includes into an object; the members of sections are merged, others replaced.
    pub(super) fn include(&self, transform: &Value, into: &mut Map<String, Value>) -> Result<(), AwsError> {
        let is_known = |value: &Value, known: &[&str]| {
            let members = value.as_object().into_iter().flat_map(Map::keys);
            members.into_iter().all(|member| known.contains(&member.as_str()))
        };
        if !is_known(transform, &["Name", "Parameters"]) || !is_known(&transform["Parameters"], &["Location"]) {
            let reason = "Name, and Parameters with Location, are the only members of the transform.";
            return Err(failed(INCLUDE, reason));
        }
        let location = self
            .scope
            .value(&transform["Parameters"]["Location"])
            .ok()
            .and_then(|location| text(&location));
        let location = location.filter(|location| location.starts_with("s3://"));
        let location = location.ok_or_else(|| failed(INCLUDE, "The location parameter is not a valid S3 uri."))?;
        let part = self.read(&location)?;
        let Ok(Value::Object(part)) = yaml::parse(&String::from_utf8_lossy(&part)) else {
            let reason = "The specified S3 object's content should be valid Yaml/JSON";
            return Err(failed(INCLUDE, reason));
        };
        for (key, value) in part {
            match (into.get_mut(&key), value) {
                (Some(Value::Object(existing)), Value::Object(more)) => existing.extend(more),
                (_, value) => {
                    into.insert(key, value);
                }
            }
        }
        Ok(())
    }
}
