//! `GET /fhir/metadata`: what the platform's FHIR API can do, patient-service's part and audit-service's.

use kit::fhir::{Base, MEDIA_TYPE, Resource, VERSION};
use serde_json::{Value, json};

/// Date of the last change of this statement.
const CHANGED: &str = "2026-11-29";

/// Reads the capability statement; it needs no token.
pub(super) async fn read(base: Base) -> Resource {
    Resource(statement(&base))
}

fn statement(base: &Base) -> Value {
    let parameter = |name: &str, kind: &str, documentation: &str| json!({"name": name, "type": kind, "documentation": documentation});
    let interactions = json!([{"code": "read"}, {"code": "search-type"}]);
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": CHANGED,
        "kind": "instance",
        "software": {"name": "Patient Management System", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Patients, and who read or changed them", "url": base.0},
        "fhirVersion": VERSION,
        "format": ["json", MEDIA_TYPE],
        "rest": [{
            "mode": "server",
            "documentation": "Read and search. Unknown search parameters are ignored and named in the bundle, or refused with `Prefer: handling=strict`. Use `_search` to keep a person's data out of access logs.",
            "security": {
                "cors": false,
                "description": "A bearer token of POST /auth/login; the role USER or ADMIN for Patient, AUDITOR for AuditEvent. Every request is recorded.",
            },
            "resource": [
                {
                    "type": "Patient",
                    "interaction": interactions,
                    "versioning": "versioned",
                    "readHistory": false,
                    "searchParam": [
                        parameter("_id", "token", "Id of the patient"),
                        parameter("identifier", "token", "urn:ietf:rfc:3986|urn:uuid:ID"),
                        parameter("name", "string", "Beginning of any word of the name, whatever its case and accents; name:exact is the whole name"),
                        parameter("family", "string", "As name: the name is not stored in parts"),
                        parameter("birthdate", "date", "A year, month or day, with the prefixes eq, ne, gt, lt, ge, le, sa and eb"),
                        parameter("email", "token", "The whole email address"),
                    ],
                },
                {
                    "type": "AuditEvent",
                    "interaction": interactions,
                    "versioning": "no-version",
                    "searchParam": [
                        parameter("patient", "reference", "Requests that named this patient, or whose list showed it"),
                        parameter("date", "date", "Time of the request, with the prefixes eq, gt, lt, ge, le, sa and eb"),
                        parameter("agent", "reference", "Id of the user, also as agent:identifier"),
                    ],
                },
            ],
        }],
    })
}
