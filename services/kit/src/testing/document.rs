//! What a good OpenAPI document has beside being valid.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::openapi::{complete, for_each_operation};

/// What a service's document lacks, in words; nothing when it is complete.
///
/// Every operation has an id of its own, a summary, a tag that is described, and says who may; one that takes anything
/// tells how it refuses; bodies have examples, and every reference leads somewhere.
pub fn document_faults(document: &utoipa::openapi::OpenApi) -> Vec<String> {
    let mut document = complete(document, true);
    let mut faults = Vec::new();
    let whole = document.clone();
    let tags: BTreeSet<&str> = whole["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| tag["description"].as_str().and(tag["name"].as_str()))
        .collect();
    let mut ids = BTreeSet::new();
    for_each_operation(&mut document, |path, method, operation| {
        let mut lacks = |what: &str| faults.push(format!("{method} {path}: {what}"));
        match operation["operationId"].as_str() {
            Some(id) if ids.insert(id.to_owned()) => {}
            _ => lacks("no operationId of its own"),
        }
        if operation["summary"].as_str().is_none_or(str::is_empty) {
            lacks("no summary");
        }
        if !operation["tags"][0].as_str().is_some_and(|tag| tags.contains(tag)) {
            lacks("no tag that is described");
        }
        if !operation["security"].is_array() {
            lacks("does not say who may");
        }
        let responses = operation["responses"].as_object();
        let has = |first: char| responses.is_some_and(|all| all.keys().any(|status| status.starts_with(first)));
        if !has('2') && !has('3') {
            lacks("no success");
        }
        let takes = operation.get("parameters").is_some() || operation.get("requestBody").is_some();
        if takes && !has('4') {
            lacks("takes something, and refuses nothing");
        }
        if let Some(body) = operation.get("requestBody") {
            let media = &body["content"]["application/json"];
            let reference = media["schema"]["$ref"].as_str().unwrap_or_default();
            let schema = whole.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
            let parts = schema["allOf"].as_array().into_iter().flatten();
            let examples = parts.chain([schema, media]).filter(|part| has_example(part)).count();
            if examples == 0 {
                lacks("no example of the body");
            }
        }
    });
    let mut references = BTreeSet::new();
    collect(&whole, &mut references);
    for reference in references {
        if whole.pointer(reference.trim_start_matches('#')).is_none() {
            faults.push(format!("{reference} leads nowhere"));
        }
    }
    faults
}

fn has_example(schema: &Value) -> bool {
    let fields = schema["properties"].as_object();
    schema.get("example").is_some()
        || fields
            .is_some_and(|fields| !fields.is_empty() && fields.values().all(|field| field.get("example").is_some()))
}

fn collect<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(all) => all.iter().for_each(|one| collect(one, references)),
        _ => {}
    }
}
