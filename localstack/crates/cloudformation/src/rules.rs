//! The section `Rules`: assertions on the parameters of a request.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::parameter::parameter_type;
use crate::references::function;
use crate::scope::{Scope, text};
use crate::template::{Template, malformed};
use endpoint_core::{AwsError, Context};

/// For each type of parameter that `Fn::RefAll`, `Fn::ValueOf` and `Fn::ValueOfAll` accept: the operation of EC2 that lists its
/// values, the list, the member with the value, and the attributes (User Guide, "Rule-specific intrinsic functions").
const TYPES: &[(&str, &str, &str, &str, &[&str])] = &[
    ("AWS::EC2::VPC::Id", "DescribeVpcs", "Vpcs", "VpcId", &[]),
    (
        "AWS::EC2::Subnet::Id",
        "DescribeSubnets",
        "Subnets",
        "SubnetId",
        &["AvailabilityZone", "VpcId"],
    ),
    (
        "AWS::EC2::SecurityGroup::Id",
        "DescribeSecurityGroups",
        "SecurityGroups",
        "GroupId",
        &[],
    ),
    (
        "AWS::EC2::AvailabilityZone::Name",
        "DescribeAvailabilityZones",
        "AvailabilityZones",
        "ZoneName",
        &[],
    ),
];

/// Checks that every rule holds.
///
/// # Errors
/// `ValidationError` with the descriptions of the assertions that do not hold, or for a malformed rule.
pub async fn check(cx: &Context, template: &Template, scope: &Scope) -> Result<(), AwsError> {
    let mut rules = Rules {
        template,
        scope,
        existing: HashMap::new(),
    };
    let uses_existing = |name: &str| {
        Value::Object(template.rules.clone().into_iter().collect())
            .to_string()
            .contains(name)
    };
    if uses_existing("Fn::RefAll") || uses_existing("Fn::ValueOf") {
        for (parameter_type, operation, list, ..) in TYPES {
            let mut response = cx.call("ec2", operation, json!({})).await?;
            let values = response[*list].as_array_mut().map(std::mem::take).unwrap_or_default();
            rules.existing.insert(parameter_type, values);
        }
    }
    let mut failed = Vec::new();
    for (name, rule) in &template.rules {
        failed.extend(rules.failures(name, rule)?);
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(AwsError::validation(format!("Template error: {}", failed.join("; "))))
}

struct Rules<'a> {
    template: &'a Template,
    scope: &'a Scope,
    /// The resources that exist, by the type of parameter that names them.
    existing: HashMap<&'static str, Vec<Value>>,
}

impl Rules<'_> {
    /// Returns the descriptions of the assertions of one rule that do not hold.
    fn failures(&self, name: &str, rule: &Value) -> Result<Vec<String>, AwsError> {
        let invalid = |reason: &str| malformed(&format!("Rule {name} {reason}"));
        let members = rule.as_object().ok_or_else(|| invalid("must be an object."))?;
        if let Some(unknown) = members
            .keys()
            .find(|k| !["RuleCondition", "Assertions"].contains(&k.as_str()))
        {
            return Err(invalid(&format!("has the unknown member {unknown}.")));
        }
        let assertions = members.get("Assertions").and_then(Value::as_array);
        let assertions = assertions.filter(|list| !list.is_empty());
        let assertions = assertions.ok_or_else(|| invalid("must have a list of Assertions."))?;
        let applies = members
            .get("RuleCondition")
            .map_or(Ok(true), |condition| self.truth(condition))?;
        let mut failed = Vec::new();
        for assertion in assertions {
            let members = assertion
                .as_object()
                .ok_or_else(|| invalid("has an assertion that is not an object."))?;
            if let Some(unknown) = members
                .keys()
                .find(|k| !["Assert", "AssertDescription"].contains(&k.as_str()))
            {
                return Err(invalid(&format!("has an assertion with the unknown member {unknown}.")));
            }
            let assert = members
                .get("Assert")
                .ok_or_else(|| invalid("has an assertion without Assert."))?;
            // Evaluated also if the rule does not apply, so that a malformed rule is always refused.
            if !self.truth(assert)? && applies {
                let description = members.get("AssertDescription").and_then(Value::as_str);
                failed.push(format!(
                    "Rule {name} failed: {}",
                    description.unwrap_or("an assertion does not hold")
                ));
            }
        }
        Ok(failed)
    }

    fn truth(&self, expression: &Value) -> Result<bool, AwsError> {
        let invalid = || malformed(&format!("{expression} is not an expression that a rule can have"));
        let (name, argument) = function(expression).ok_or_else(invalid)?;
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name, parts) {
            ("Fn::And", [_, _, ..]) => parts.iter().try_fold(true, |all, part| Ok(all & self.truth(part)?)),
            ("Fn::Or", [_, _, ..]) => parts.iter().try_fold(false, |any, part| Ok(any | self.truth(part)?)),
            ("Fn::Not", [part]) => Ok(!self.truth(part)?),
            ("Fn::Equals", [left, right]) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Ok(left == right || text(&left).is_some_and(|left| Some(left) == text(&right)))
            }
            ("Fn::Contains", [list, value]) => {
                let value = text(&self.value(value)?).ok_or_else(invalid)?;
                Ok(self.texts(list)?.contains(&value))
            }
            ("Fn::EachMemberEquals", [list, value]) => {
                let value = text(&self.value(value)?).ok_or_else(invalid)?;
                Ok(self.texts(list)?.iter().all(|member| *member == value))
            }
            ("Fn::EachMemberIn", [members, list]) => {
                let list = self.texts(list)?;
                Ok(self.texts(members)?.iter().all(|member| list.contains(member)))
            }
            _ => Err(invalid()),
        }
    }

    fn texts(&self, expression: &Value) -> Result<Vec<String>, AwsError> {
        let value = self.value(expression)?;
        let list = value
            .as_array()
            .map(|list| list.iter().map(text).collect::<Option<Vec<_>>>());
        list.flatten()
            .ok_or_else(|| malformed(&format!("{expression} is not a list of texts, which a rule needs here")))
    }

    fn value(&self, expression: &Value) -> Result<Value, AwsError> {
        let invalid = || malformed(&format!("{expression} is not an expression that a rule can have"));
        match function(expression) {
            Some(("Fn::RefAll", Value::String(parameter_type))) => {
                let (.., id, _) = known_type(parameter_type).ok_or_else(invalid)?;
                let values = self.existing[parameter_type.as_str()].iter();
                Ok(values.map(|one| one[id].clone()).collect())
            }
            Some(("Fn::ValueOf", Value::Array(parts))) => match parts.as_slice() {
                [Value::String(parameter), Value::String(attribute)] => {
                    let declared = self
                        .template
                        .parameters
                        .get(parameter)
                        .map(parameter_type)
                        .ok_or_else(invalid)?;
                    let is_list = declared.starts_with("List<");
                    let declared = declared.trim_start_matches("List<").trim_end_matches('>');
                    let of = |id: &Value| {
                        let (.., member, _) = known_type(declared).ok_or_else(invalid)?;
                        let one = self.existing[declared].iter().find(|one| one[member] == *id);
                        let one =
                            one.ok_or_else(|| malformed(&format!("{id} of parameter {parameter} does not exist")))?;
                        attribute_of(declared, one, attribute).ok_or_else(invalid)
                    };
                    match self.scope.names.get(parameter) {
                        Some(Value::Array(ids)) if is_list => ids.iter().map(of).collect(),
                        Some(id) => of(id),
                        None => Err(invalid()),
                    }
                }
                _ => Err(invalid()),
            },
            Some(("Fn::ValueOfAll", Value::Array(parts))) => match parts.as_slice() {
                [Value::String(parameter_type), Value::String(attribute)] => {
                    known_type(parameter_type).ok_or_else(invalid)?;
                    let values = self.existing[parameter_type.as_str()].iter();
                    values
                        .map(|one| attribute_of(parameter_type, one, attribute).ok_or_else(invalid))
                        .collect()
                }
                _ => Err(invalid()),
            },
            Some(("Ref", Value::String(name))) => self.scope.names.get(name).cloned().ok_or_else(invalid),
            Some(("Fn::FindInMap" | "Fn::Join" | "Fn::Sub" | "Fn::Select" | "Fn::Split", _)) => {
                Ok(self.scope.value(expression)?)
            }
            Some(_) => Err(invalid()),
            None => match expression {
                Value::Array(list) => list.iter().map(|one| self.value(one)).collect(),
                Value::Object(_) => Err(invalid()),
                scalar => Ok(scalar.clone()),
            },
        }
    }
}

type ParameterType = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

fn known_type(name: &str) -> Option<ParameterType> {
    TYPES.iter().find(|(known, ..)| *known == name).copied()
}

/// Returns an attribute, or the value of a tag for `Tags.KEY`, empty without that tag.
fn attribute_of(parameter_type: &str, one: &Value, attribute: &str) -> Option<Value> {
    if let Some(key) = attribute.strip_prefix("Tags.") {
        let tags = one["Tags"].as_array().into_iter().flatten();
        let tag = tags
            .filter(|tag| tag["Key"] == key)
            .map(|tag| tag["Value"].clone())
            .next();
        return Some(tag.unwrap_or_else(|| "".into()));
    }
    let (.., attributes) = known_type(parameter_type)?;
    attributes.contains(&attribute).then(|| one[attribute].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(assertions: Value) -> Result<Vec<String>, AwsError> {
        let mut scope = Scope::default();
        scope.names.insert("Env".into(), "dev".into());
        scope.names.insert("Zones".into(), json!(["a", "b"]));
        let rules = Rules {
            template: &Template::default(),
            scope: &scope,
            existing: HashMap::new(),
        };
        rules.failures("R", &assertions)
    }

    fn holds(assert: Value) -> bool {
        failures(json!({"Assertions": [{"Assert": assert}]}))
            .unwrap()
            .is_empty()
    }

    #[test]
    fn functions_of_rules_have_their_values() {
        assert!(holds(json!({"Fn::Contains": [["dev", "test"], {"Ref": "Env"}]})));
        assert!(!holds(json!({"Fn::Contains": [["prod"], {"Ref": "Env"}]})));
        assert!(holds(json!({"Fn::EachMemberIn": [{"Ref": "Zones"}, ["a", "b", "c"]]})));
        assert!(!holds(json!({"Fn::EachMemberIn": [{"Ref": "Zones"}, ["a"]]})));
        assert!(!holds(json!({"Fn::EachMemberEquals": [{"Ref": "Zones"}, "a"]})));
        assert!(holds(
            json!({"Fn::Not": [{"Fn::And": [{"Fn::Equals": [1, "1"]}, {"Fn::Equals": ["a", "b"]}]}]})
        ));
        assert!(holds(
            json!({"Fn::Or": [{"Fn::Equals": [1, 2]}, {"Fn::Equals": ["a", "a"]}]})
        ));
    }

    #[test]
    fn a_rule_whose_condition_does_not_hold_asserts_nothing() {
        let assertions = json!([{"Assert": {"Fn::Equals": ["a", "b"]}, "AssertDescription": "never"}]);
        let is_dev = json!({"Fn::Equals": [{"Ref": "Env"}, "dev"]});
        let rule = json!({"RuleCondition": is_dev, "Assertions": assertions});
        assert!(failures(rule).unwrap()[0].contains("never"));
        let rule = json!({"RuleCondition": {"Fn::Not": [is_dev]}, "Assertions": assertions});
        assert!(failures(rule).unwrap().is_empty());
    }

    #[test]
    fn a_malformed_rule_is_refused() {
        for rule in [
            json!([]),
            json!({}),
            json!({"Assertions": []}),
            json!({"Assertions": [{"Assert": "yes"}]}),
            json!({"Assertions": [{"Assert": {"Fn::Equals": ["a"]}}]}),
            json!({"Assertions": [{"Assert": {"Fn::Contains": ["dev", {"Ref": "Env"}]}}]}),
            json!({"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "Gone"}, "a"]}}]}),
            json!({"Assertion": [{"Assert": {"Fn::Equals": ["a", "a"]}}]}),
            json!({"Assertions": [{"Assert": {"Fn::Contains": [{"Fn::RefAll": "AWS::EC2::Image::Id"}, "a"]}}]}),
        ] {
            assert_eq!(failures(rule.clone()).unwrap_err().code, "ValidationError", "{rule}");
        }
    }
}
