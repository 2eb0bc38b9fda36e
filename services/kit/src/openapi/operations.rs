//! The routes that every service has.

use serde_json::{Value, json};

/// The tag of these operations; the gateway does not show them as a service's own.
pub(super) const TAG: &str = "Operations";

/// Adds them to a document.
pub(super) fn add(document: &mut Value, probes: bool) {
    let paths = &mut document["paths"];
    paths["/health/live"]["get"] = operation(
        "isLive",
        "Does the process answer?",
        json!({
            "200": {"description": "It does", "content": status(&["UP"])},
        }),
    );
    paths["/v3/api-docs"]["get"] = operation(
        "readDocument",
        "Read this document",
        json!({
            "200": {"description": "The document", "content": {"application/json": {"schema": {"type": "object"}}}},
        }),
    );
    if probes {
        paths["/health/ready"]["get"] = operation(
            "isReady",
            "Should the service get requests?",
            json!({
                "200": {"description": "What it needs is there", "content": status(&["UP"])},
                "503": {"description": "Something is missing, or it is stopping", "content": status(&["DOWN", "STOPPING"])},
            }),
        );
        paths["/metrics"]["get"] = operation(
            "readMetrics",
            "Read the metrics, as Prometheus does",
            json!({
                "200": {"description": "The metrics", "content": {"text/plain": {"schema": {"type": "string"}}}},
            }),
        );
    }
    let tag = json!({"name": TAG, "description": "Health, metrics and this document; not shown by the gateway."});
    match document["tags"].as_array_mut() {
        Some(tags) => tags.push(tag),
        None => document["tags"] = json!([tag]),
    }
}

fn operation(id: &str, summary: &str, responses: Value) -> Value {
    json!({"operationId": id, "summary": summary, "tags": [TAG], "responses": responses})
}

fn status(words: &[&str]) -> Value {
    json!({"application/json": {"schema": {
        "type": "object", "required": ["status"],
        "properties": {"status": {"type": "string", "enum": words}, "checks": {"type": "object"}},
    }}})
}
