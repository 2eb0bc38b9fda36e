//! Checks every line of the scenarios against the committed schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::event::Event;
use super::RenderHarness;
use super::scenarios::{self, Step};

const SCHEMA: &str = include_str!("../../schema/events.v1.json");

/// Checks a value by the keywords of JSON Schema 2020-12 that the schema uses. An unknown keyword is an error: it would be ignored.
fn check(value: &Value, schema: &Value, root: &Value, place: &str) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else {
        return if schema == &Value::Bool(true) {
            Ok(())
        } else {
            Err(format!("{place}: nothing may be here"))
        };
    };
    let fail = |what: String| Err(format!("{place}: {what}: {value}"));
    for (keyword, argument) in keywords {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = argument.as_str().and_then(|text| text.strip_prefix('#')).unwrap_or("?");
                let target = root.pointer(pointer).ok_or(format!("no {argument} in the schema"))?;
                check(value, target, root, place)?;
            }
            "type" => {
                let names: Vec<&str> = match argument {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is(value, name)) {
                    return fail(format!("is not of type {argument}"));
                }
            }
            "const" if value != argument => return fail(format!("is not {argument}")),
            "enum" if !argument.as_array().is_some_and(|all| all.contains(value)) => {
                return fail(format!("is not one of {argument}"));
            }
            "minimum"
                if value
                    .as_f64()
                    .zip(argument.as_f64())
                    .is_some_and(|(value, least)| value < least) =>
            {
                return fail(format!("is below {argument}"));
            }
            "const" | "enum" | "minimum" => {}
            "required" => {
                for name in argument.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        return fail(format!("has no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, part) in argument.as_object().into_iter().flatten() {
                    if let Some(inner) = value.get(name) {
                        check(inner, part, root, &format!("{place}/{name}"))?;
                    }
                }
            }
            "unevaluatedProperties" | "additionalProperties" => {
                assert_eq!(argument, &Value::Bool(false));
                let known: BTreeSet<&str> = known_properties(schema, root);
                if let Some(other) = value
                    .as_object()
                    .and_then(|all| all.keys().find(|key| !known.contains(key.as_str())))
                {
                    return fail(format!("{other} is not in the schema"));
                }
            }
            "items" => {
                for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                    check(inner, argument, root, &format!("{place}/{index}"))?;
                }
            }
            "allOf" => {
                for part in argument.as_array().into_iter().flatten() {
                    check(value, part, root, place)?;
                }
            }
            "oneOf" => {
                let options = argument.as_array().into_iter().flatten();
                let results: Vec<_> = options.map(|option| check(value, option, root, place)).collect();
                let fits = results.iter().filter(|result| result.is_ok()).count();
                if fits != 1 {
                    return Err(format!(
                        "{place}: fits {fits} of the options, not one: {value}: {results:#?}"
                    ));
                }
            }
            other => return Err(format!("the test does not know the keyword {other}")),
        }
    }
    Ok(())
}

fn known_properties<'a>(schema: &'a Value, root: &'a Value) -> BTreeSet<&'a str> {
    let mut known: BTreeSet<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|text| root.pointer(text.strip_prefix('#')?))
    {
        known.extend(known_properties(target, root));
    }
    known
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Returns the name of an event on its line. The compiler asks for a new variant here; the test then asks for it in the scenarios
/// and the schema.
fn name(event: &Event) -> &'static str {
    match event {
        Event::Note { .. } => "note",
        Event::Warning { .. } => "warning",
        Event::Plan { .. } => "plan",
        Event::Stack { .. } => "stack",
        Event::StackWaiting { .. } => "stack_waiting",
        Event::StackRollingBack { .. } => "stack_rolling_back",
        Event::StackCleaningUp { .. } => "stack_cleaning_up",
        Event::Resource { .. } => "resource",
        Event::StackEnded { .. } => "stack_ended",
        Event::Image { .. } => "image",
        Event::Upload { .. } => "upload",
        Event::Compiler { .. } => "compiler",
        Event::Compiling { .. } => "compiling",
        Event::Rollout { .. } => "rollout",
        Event::Serving { .. } => "serving",
        Event::TaskStopped { .. } => "task_stopped",
        Event::Log { .. } => "log",
        Event::Result { .. } => "result",
        Event::Error { .. } => "error",
        Event::Summary(_) => "summary",
    }
}

#[test]
fn every_line_fits_the_schema_and_every_event_of_the_schema_occurs() {
    let root: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let scenarios = [
        scenarios::first_deployment(),
        scenarios::nothing_to_do(),
        scenarios::update(),
        scenarios::replacement(),
        scenarios::failing_service(),
        scenarios::rollback(),
        scenarios::interrupted(),
        scenarios::locked(),
        scenarios::other_events(),
    ];
    let mut seen = BTreeSet::new();
    for scenario in &scenarios {
        for step in scenario {
            if let Step::Emit(_, event) = step {
                seen.insert(name(event).to_owned());
            }
        }
        for line in RenderHarness::new(80, 24).run(scenario).lines {
            let line: Value = serde_json::from_str(&line).expect("a line is JSON");
            check(&line, &root, &root, "").unwrap_or_else(|error| panic!("{error}"));
            seen.insert(line["event"].as_str().unwrap_or_default().to_owned());
        }
    }
    let options = root["oneOf"].as_array().expect("the events are options");
    let named: BTreeSet<String> = options
        .iter()
        .filter_map(|option| Some(option["$ref"].as_str()?.rsplit('/').next()?.to_owned()))
        .collect();
    assert_eq!(seen, named);
}

#[test]
fn a_line_with_a_missing_field_an_unknown_one_or_a_wrong_type_is_rejected() {
    let root: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let good = serde_json::json!({
        "version": 1, "time": "2026-01-02T03:04:05Z", "type": "progress", "event": "note", "text": "hello"
    });
    assert_eq!(check(&good, &root, &root, ""), Ok(()));
    for (field, value) in [
        ("text", Some(Value::Null)),
        ("version", Some(2.into())),
        ("type", Some("plan".into())),
        ("other", Some("x".into())),
        ("text", None),
    ] {
        let mut bad = good.clone();
        match value {
            Some(value) => bad[field] = value,
            None => drop(bad.as_object_mut().and_then(|all| all.remove(field))),
        }
        assert!(check(&bad, &root, &root, "").is_err(), "{bad}");
    }
}
