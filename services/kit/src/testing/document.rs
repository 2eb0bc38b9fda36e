//! Completeness of an OpenAPI document, beyond its validity.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::openapi::{complete, for_each_operation};

/// Returns the faults of a service's document as text; empty if it is complete.
///
/// Every operation must have a unique id, a summary, a tag with a description, a security requirement and a success response;
/// with parameters or a body, a 4xx response; bodies must have examples, and references must resolve.
pub fn document_faults(document: &utoipa::openapi::OpenApi) -> Vec<String> {
    let mut document = complete(document, true);
    let mut faults = Vec::new();
    let complete_document = document.clone();
    let tags: BTreeSet<&str> = complete_document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| tag["description"].as_str().and(tag["name"].as_str()))
        .collect();
    let mut ids = BTreeSet::new();
    for_each_operation(&mut document, |path, method, operation| {
        let mut fault = |what: &str| faults.push(format!("{method} {path}: {what}"));
        match operation["operationId"].as_str() {
            Some(id) if ids.insert(id.to_owned()) => {}
            _ => fault("no unique operationId"),
        }
        if operation["summary"].as_str().is_none_or(str::is_empty) {
            fault("no summary");
        }
        if !operation["tags"][0].as_str().is_some_and(|tag| tags.contains(tag)) {
            fault("no tag with a description");
        }
        if !operation["security"].is_array() {
            fault("no security requirement");
        }
        let responses = operation["responses"].as_object();
        let has = |first: char| responses.is_some_and(|all| all.keys().any(|status| status.starts_with(first)));
        if !has('2') && !has('3') {
            fault("no success response");
        }
        let takes = operation.get("parameters").is_some() || operation.get("requestBody").is_some();
        if takes && !has('4') {
            fault("parameters or a body, and no 4xx response");
        }
        if let Some(body) = operation.get("requestBody") {
            for (_, media) in body["content"].as_object().into_iter().flatten() {
                let reference = media["schema"]["$ref"].as_str().unwrap_or_default();
                let schema = complete_document
                    .pointer(reference.trim_start_matches('#'))
                    .unwrap_or(&Value::Null);
                let parts = schema["allOf"].as_array().into_iter().flatten();
                let examples = parts.chain([schema, media]).filter(|part| has_example(part)).count();
                if examples == 0 {
                    fault("no example of the body");
                }
            }
        }
    });
    let mut references = BTreeSet::new();
    collect(&complete_document, &mut references);
    for reference in references {
        if complete_document.pointer(reference.trim_start_matches('#')).is_none() {
            faults.push(format!("{reference} does not resolve"));
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
