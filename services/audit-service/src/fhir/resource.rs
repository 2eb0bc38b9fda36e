//! A record as the FHIR resource `AuditEvent` (<http://hl7.org/fhir/R4/auditevent.html>).

use std::net::IpAddr;

use kit::fhir::instant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::record::Record;

/// Returns the resource: a record of a REST operation, with ids and names of fields only.
pub fn resource(record: &Record) -> Value {
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": record.event_id,
        "meta": {"lastUpdated": instant(record.recorded_at)},
        "type": coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"),
        "action": action(&record.action),
        "recorded": instant(record.occurred_at),
        "outcome": outcome(record.outcome),
        "outcomeDesc": format!("HTTP status {}", record.outcome),
        "agent": [agent(record)],
        "source": {
            "observer": {"display": record.service},
            "type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")],
        },
        "entity": entities(record),
    });
    if let Some(code) = interaction(&record.action) {
        event["subtype"] = json!([{"system": "http://hl7.org/fhir/restful-interaction", "code": code}]);
    }
    event
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({"system": system, "code": code, "display": display})
}

/// Returns the code of <http://hl7.org/fhir/R4/valueset-audit-event-action.html>.
fn action(action: &str) -> &'static str {
    match action {
        "CREATE" => "C",
        "UPDATE" => "U",
        "DELETE" => "D",
        "LIST" | "SEARCH" => "E",
        _ => "R",
    }
}

/// Returns the interaction of <http://hl7.org/fhir/R4/valueset-type-restful-interaction.html>, if there is such a one.
fn interaction(action: &str) -> Option<&'static str> {
    Some(match action {
        "READ" => "read",
        "LIST" | "SEARCH" => "search-type",
        "CREATE" => "create",
        "UPDATE" => "update",
        "DELETE" => "delete",
        "HISTORY" => "history-instance",
        _ => return None,
    })
}

/// Returns the code of <http://hl7.org/fhir/R4/valueset-audit-event-outcome.html>.
fn outcome(status: i32) -> &'static str {
    match status {
        ..400 => "0",
        400..500 => "4",
        _ => "8",
    }
}

fn agent(record: &Record) -> Value {
    let mut agent = json!({
        "type": {"coding": [coding("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "humanuser", "human user")]},
        "role": [{"text": record.role}],
        "who": {"identifier": {"value": record.actor}},
        "requestor": true,
    });
    if let Some(address) = &record.client_address {
        agent["network"] = json!({"address": address});
        if address.parse::<IpAddr>().is_ok() {
            // An IP address.
            agent["network"]["type"] = "2".into();
        }
    }
    agent
}

fn entities(record: &Record) -> Vec<Value> {
    let details = [
        ("action", Some(&record.action)),
        ("route", Some(&record.route)),
        ("trace", record.trace_id.as_ref()),
    ];
    let details = details.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
    let changed = record.changed_fields.iter().map(|field| ("changedField", field));
    let details: Vec<Value> = details
        .chain(changed)
        .map(|(kind, value)| json!({"type": kind, "valueString": value}))
        .collect();
    let session = record.session_id.map(|id| json!({"identifier": {"value": id}}));
    let mut request = json!({
        "type": coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "2", "System Object"),
        "role": coding("http://terminology.hl7.org/CodeSystem/object-role", "24", "Query"),
        "detail": details,
    });
    if let Some(session) = session {
        request["what"] = session;
    }
    let patients = record.patient_id.iter().chain(&record.shown_patient_ids);
    patients.map(patient).chain([request]).collect()
}

fn patient(id: &Uuid) -> Value {
    json!({
        "what": {"reference": format!("Patient/{id}")},
        "type": coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "1", "Person"),
        "role": coding("http://terminology.hl7.org/CodeSystem/object-role", "1", "Patient"),
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn record() -> Record {
        Record {
            position: 1,
            event_id: Uuid::from_u128(1),
            occurred_at: datetime!(2026-11-29 08:00 UTC),
            recorded_at: datetime!(2026-11-29 08:00:01 UTC),
            actor: Uuid::from_u128(2),
            role: "USER".into(),
            session_id: Some(Uuid::from_u128(3)),
            client_address: Some("203.0.113.9".into()),
            action: "UPDATE".into(),
            route: "PUT /patients/{id}".into(),
            patient_id: Some(Uuid::from_u128(4)),
            shown_patient_ids: vec![Uuid::from_u128(5)],
            changed_fields: vec!["name".into()],
            outcome: 200,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            service: "patient-service".into(),
            hash: vec![0; 32],
        }
    }

    #[test]
    fn user_patient_time_and_outcome_are_in_their_elements() {
        let event = resource(&record());
        assert_eq!(
            (&event["action"], &event["outcome"], &event["subtype"][0]["code"]),
            (&json!("U"), &json!("0"), &json!("update"))
        );
        assert_eq!(event["recorded"], "2026-11-29T08:00:00.000Z");
        assert_eq!(
            event["agent"][0]["who"]["identifier"]["value"],
            json!(Uuid::from_u128(2))
        );
        assert_eq!(
            event["agent"][0]["network"],
            json!({"address": "203.0.113.9", "type": "2"})
        );
        assert_eq!(event["source"]["observer"]["display"], "patient-service");
        let references: Vec<&Value> = event["entity"]
            .as_array()
            .expect("entities")
            .iter()
            .map(|entity| &entity["what"]["reference"])
            .collect();
        assert_eq!(
            references,
            [
                &json!(format!("Patient/{}", Uuid::from_u128(4))),
                &json!(format!("Patient/{}", Uuid::from_u128(5))),
                &Value::Null
            ]
        );
        let details = event["entity"][2]["detail"].as_array().expect("details");
        assert!(details.contains(&json!({"type": "changedField", "valueString": "name"})));
    }

    #[test]
    fn what_a_record_does_not_have_is_absent() {
        let bare = Record {
            session_id: None,
            client_address: None,
            patient_id: None,
            shown_patient_ids: Vec::new(),
            changed_fields: Vec::new(),
            trace_id: None,
            action: "EXPORT".into(),
            outcome: 403,
            ..record()
        };
        let event = resource(&bare);
        assert_eq!((event.get("subtype"), event["agent"][0].get("network")), (None, None));
        assert_eq!(
            (event["outcome"].as_str(), event["action"].as_str()),
            (Some("4"), Some("R"))
        );
        assert_eq!(event["entity"].as_array().expect("entities").len(), 1);
        assert!(!event.to_string().contains("null"));
    }
}
