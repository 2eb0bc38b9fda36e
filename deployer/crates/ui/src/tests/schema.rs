//! The schema of the lines: generated from the types, and valid for every line of the scenarios.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, SchemaIndex, Schemas};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::RenderHarness;
use super::scenarios::{self, Step};
use crate::event::Event;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/events.v1.json");

/// Returns every event of the scenarios.
fn events() -> Vec<Event> {
    let steps = scenarios::all().into_iter().flatten();
    steps
        .filter_map(|step| match step {
            Step::Emit(_, event) => Some(event),
            Step::End(..) | Step::Screenshot(_) => None,
        })
        .collect()
}

/// Returns every line that the scenarios write.
fn lines() -> Vec<Value> {
    let lines = scenarios::all()
        .into_iter()
        .flat_map(|scenario| RenderHarness::new(80, 24).run(&scenario).lines);
    lines
        .map(|line| serde_json::from_str(&line).expect("a line is JSON"))
        .collect()
}

/// Returns the values of `type` by event, as [`Event::class`] returns them.
fn classes() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut classes: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    let summary = Event::Summary(crate::event::Summary::default());
    for event in events().into_iter().chain([summary]) {
        let fields = serde_json::to_value(&event).expect("an event is JSON");
        let name = fields["event"].as_str().expect("its name").to_owned();
        classes.entry(name).or_default().insert(event.class());
    }
    classes
}

/// Returns the schema of a line: the types' schema, with the fields that each line begins with.
fn generated() -> Value {
    // `for_serialize`: a field that is always written is required, null or not.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut root = Value::from(generator.into_root_schema_for::<Event>());
    let mut definitions = root["$defs"].take();
    let classes = classes();
    let mut options = Vec::new();
    for mut event in root["oneOf"].as_array().expect("an enum is oneOf").clone() {
        // `Summary` is a separate struct: its fields become those of the line.
        if let Some(name) = event["$ref"].as_str().and_then(|to| to.strip_prefix("#/$defs/")) {
            let inner = definitions
                .as_object_mut()
                .and_then(|all| all.remove(name))
                .expect("it");
            complete(&mut event, &inner);
        }
        let name = event["properties"]["event"]["const"]
            .as_str()
            .expect("a name")
            .to_owned();
        let head = json!({
            "version": { "const": 1 },
            "time": { "type": "string", "description": "Time of the event, RFC 3339, UTC." },
            "type": { "enum": classes.get(&name).unwrap_or_else(|| panic!("no scenario has {name}")) },
        });
        let properties = event["properties"].as_object_mut().expect("properties");
        for (key, value) in head.as_object().into_iter().flatten() {
            properties.insert(key.clone(), value.clone());
        }
        let required = event["required"].as_array_mut().expect("required fields");
        // A line of a log has its own time in place of the event's.
        for key in ["version", "time", "type"] {
            if !required.iter().any(|known| known == key) {
                required.push(key.into());
            }
        }
        event["additionalProperties"] = false.into();
        options.push(json!({ "$ref": format!("#/$defs/{name}") }));
        definitions[&name] = event;
    }
    json!({
        "$schema": root["$schema"],
        "title": "deployer --json, version 1",
        "description": "One line of the NDJSON that `deployer --json` writes on stdout. Fields may be added without a new \
                        version; a removed or changed field makes a new version.",
        "oneOf": options,
        "$defs": definitions,
    })
}

/// Adds the properties and required fields of `inner` to `event`.
fn complete(event: &mut Value, inner: &Value) {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in [inner, &*event] {
        properties.extend(part["properties"].as_object().into_iter().flatten().map(owned));
        required.extend(part["required"].as_array().into_iter().flatten().cloned());
    }
    if let Some(event) = event.as_object_mut() {
        event.remove("$ref");
        event.insert("properties".into(), properties.into());
        event.insert("required".into(), required.into());
    }
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn committed() -> Value {
    serde_json::from_str(&std::fs::read_to_string(FILE).expect("the schema is committed")).expect("it is JSON")
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let generated = generated();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(FILE, format!("{generated:#}\n")).expect("the schema can be written");
    }
    assert!(
        committed() == generated,
        "stale: UPDATE_SCHEMA=1 cargo test -p ui schema"
    );
}

/// A compiled schema.
struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(schema: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.add_resource("events.json", schema).expect("a URL");
        let mut schemas = Schemas::new();
        let index = compiler.compile("events.json", &mut schemas);
        Self {
            index: index.expect("a schema of the 2020-12 dialect"),
            schemas,
        }
    }

    fn validate(&self, line: &Value) -> Result<(), String> {
        let result = self.schemas.validate(line, self.index);
        result.map_err(|error| error.to_string())
    }
}

#[test]
fn every_line_is_valid_and_every_event_of_the_schema_occurs() {
    let schema = committed();
    let validator = Validator::new(schema.clone());
    let mut found = BTreeSet::new();
    for line in lines() {
        if let Err(error) = validator.validate(&line) {
            panic!("{error}: {line}");
        }
        found.insert(line["event"].as_str().unwrap_or_default().to_owned());
    }
    let options = schema["oneOf"].as_array().expect("the events are options");
    let named: BTreeSet<String> = options
        .iter()
        .filter_map(|option| Some(option["$ref"].as_str()?.rsplit('/').next()?.to_owned()))
        .collect();
    assert_eq!(found, named);
}

#[test]
fn a_line_with_a_missing_field_an_unknown_one_or_a_wrong_type_is_rejected() {
    let validator = Validator::new(committed());
    let good = json!({
        "version": 1, "time": "2026-01-02T03:04:05Z", "type": "progress", "event": "note", "text": "hello"
    });
    assert!(validator.validate(&good).is_ok());
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
        assert!(validator.validate(&bad).is_err(), "{bad}");
    }
}

/// The contract: a consumer of version 1 reads these fields. Fields may be added.
#[test]
fn the_fields_of_version_1_remain() {
    let schema = committed();
    let fields = |name: &str| {
        let required = schema["$defs"][name]["required"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut names: Vec<String> = required
            .iter()
            .filter_map(|field| Some(field.as_str()?.to_owned()))
            .filter(|field| !["version", "time", "type", "event"].contains(&field.as_str()))
            .collect();
        names.sort_unstable();
        names.join(" ")
    };
    let options = schema["oneOf"].as_array().into_iter().flatten();
    let mut names: Vec<&str> = options
        .filter_map(|option| option["$ref"].as_str()?.rsplit('/').next())
        .collect();
    names.sort_unstable();
    let all: Vec<String> = names.iter().map(|name| format!("{name}: {}", fields(name))).collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    compiler: line
    compiling: finished total
    error: code exit_code hint message
    image: detail service step
    log: message service stream
    note: text
    plan: endpoint environment orphaned_stacks project stacks
    resource: cancelled reason resource resource_type stack status
    result: kind value
    rollout: resource rollout stack
    serving: state
    stack: action expected_seconds resources stack
    stack_cleaning_up: stack status
    stack_ended: seconds sentiment stack status
    stack_rolling_back: reason stack status
    stack_waiting: on stack
    summary: cancelled created deleted failed first_failure in_progress outcome seconds skipped unchanged updated
    task_stopped: exit_code log reason service task times
    upload: sent service total
    warning: text
    ");
}
