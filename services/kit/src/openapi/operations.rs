//! The common routes of every service.

use serde_json::{Value, json};

/// The tag of these operations, which the gateway removes from its documents.
pub(super) const TAG: &str = "Operations";

/// Adds the operations to a document.
pub(super) fn add(document: &mut Value, probes: bool) {
    let paths = &mut document["paths"];
    paths["/health/live"]["get"] = operation(
        "isLive",
        "Liveness probe",
        "Responds while the process runs, whatever its dependencies do.",
        json!({
            "200": {"description": "The process responds", "content": status(&["UP"])},
        }),
    );
    paths["/v3/api-docs"]["get"] = operation(
        "readDocument",
        "Read this document",
        "The OpenAPI document of the service itself, without the gateway's prefix.",
        json!({
            "200": {"description": "The document", "content": {"application/json": {"schema": {"type": "object"}}}},
        }),
    );
    if probes {
        paths["/health/ready"]["get"] = operation(
            "isReady",
            "Readiness probe",
            "Fails while a counted dependency is unavailable, and after the stop signal.",
            json!({
                "200": {"description": "The service is ready", "content": status(&["UP"])},
                "503": {"description": "A dependency is unavailable, or the service is stopping", "content": status(&["DOWN", "STOPPING"])},
            }),
        );
        paths["/metrics"]["get"] = operation(
            "readMetrics",
            "Read the metrics, in the text format of Prometheus",
            "Counters, gauges and histograms of this process.",
            json!({
                "200": {"description": "The metrics", "content": {"text/plain": {"schema": {"type": "string"}}}},
            }),
        );
    }
    let tag = json!({"name": TAG, "description": "Health, metrics and this document; not available at the gateway."});
    match document["tags"].as_array_mut() {
        Some(tags) => tags.push(tag),
        None => document["tags"] = json!([tag]),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "every caller builds the value for this call"
)]
fn operation(id: &str, summary: &str, description: &str, responses: Value) -> Value {
    json!({"operationId": id, "summary": summary, "description": description, "tags": [TAG], "responses": responses})
}

fn status(values: &[&str]) -> Value {
    json!({"application/json": {"schema": {
        "type": "object", "required": ["status"],
        "properties": {"status": {"type": "string", "enum": values}, "checks": {"type": "object"}},
    }}})
}
