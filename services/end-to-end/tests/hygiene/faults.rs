//! What goes wrong inside: calls that are refused, messages that cannot be read, peers that are away.

use std::{net::SocketAddr, time::Duration};

use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{BillingRequest, billing_service_client::BillingServiceClient},
    patient::events::PatientEvent,
    topics::{PATIENT, PATIENT_DLQ},
};
use end_to_end::{Link, Service, System, until};
use prost::Message;
use serde_json::json;
use tonic::{Code, Request};
use uuid::Uuid;

use crate::{
    canary::{MARK, canary},
    drive::{Session, patient},
    wire::{Answer, Request as Sent, send_all},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// gRPC calls with and without the link's secret.
pub async fn calls(system: &System) {
    let address = format!("http://{}", system.link(Link::Grpc).address());
    let mut client = BillingServiceClient::connect(address)
        .await
        .expect("billing's gRPC side");
    let good = system.secret("BILLING_LINK_SECRET").to_owned();
    let person = |patient_id: String, name: String| BillingRequest {
        patient_id,
        name,
        email: format!("{MARK}grpc@{MARK}host.example"),
    };
    let somebody = || Uuid::new_v4().to_string();
    for (secret, request, code) in [
        (
            canary("link"),
            person(somebody(), canary("grpcname")),
            Code::Unauthenticated,
        ),
        (
            good.clone(),
            person(canary("grpcid"), canary("grpcname")),
            Code::InvalidArgument,
        ),
        (good.clone(), person(somebody(), canary("nul\0")), Code::InvalidArgument),
        (
            good.clone(),
            person(somebody(), canary(&"long".repeat(400))),
            Code::InvalidArgument,
        ),
        (good, person(somebody(), canary("grpcname")), Code::Ok),
    ] {
        let mut request = Request::new(request);
        request
            .metadata_mut()
            .insert(LINK_SECRET_HEADER, secret.parse().expect("ASCII"));
        request
            .metadata_mut()
            .insert("traceparent", canary("grpctrace").parse().expect("ASCII"));
        let status = match client.create_billing_account(request).await {
            Ok(_) => tonic::Status::ok(""),
            Err(status) => status,
        };
        assert_eq!(status.code(), code, "{status}");
        assert!(!status.message().contains(MARK), "an echo: {}", status.message());
    }
}

/// Messages that no consumer can read, and one that all can.
pub async fn poison(system: &System, patient: Uuid) {
    let kafka = system.kafka();
    let event = PatientEvent {
        patient_id: patient.to_string(),
        name: canary("eventname"),
        email: format!("{MARK}event@{MARK}host.example"),
        event_type: "PATIENT_UPDATED".to_owned(),
        event_id: Uuid::new_v4().to_string(),
        occurred_at: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        version: 900,
        birth_year: 1917,
    };
    let unreadable = [
        PatientEvent {
            patient_id: canary("patientid"),
            ..event.clone()
        },
        PatientEvent {
            event_id: canary("eventid"),
            ..event.clone()
        },
        PatientEvent {
            event_type: canary("eventtype"),
            ..event.clone()
        },
        PatientEvent {
            version: -7,
            ..event.clone()
        },
    ];
    let trace = canary("kafkatrace");
    let headers = [("traceparent", trace.as_bytes()), (trace.as_str(), trace.as_bytes())];
    let before = kafka.records(PATIENT_DLQ).await.len();
    for event in &unreadable {
        kafka
            .produce(PATIENT, &canary("key"), &event.encode_to_vec(), &headers)
            .await;
    }
    kafka
        .produce(PATIENT, &canary("key"), canary("no protobuf").as_bytes(), &headers)
        .await;
    kafka
        .produce(PATIENT, &patient.to_string(), &event.encode_to_vec(), &headers)
        .await;
    // Both groups bury what they cannot read.
    until("the messages that cannot be read to be buried", PATIENCE, async || {
        kafka.records(PATIENT_DLQ).await.len() >= before + 2 * (unreadable.len() + 1)
    })
    .await;
    for letter in kafka.records(PATIENT_DLQ).await {
        let told = ["reason", "topic", "partition", "offset"].map(|name| letter.header(name).unwrap_or_default());
        assert!(
            !told.concat().contains(MARK),
            "a reason that holds what was sent: {told:?}"
        );
    }
}

/// Creations and logins while each peer is away in turn.
pub async fn outages(system: &System, door: SocketAddr, admin: &Session, id: Uuid) -> Vec<Answer> {
    let auth = [("Authorization", admin.bearer.as_str())];
    let mut answers = Vec::new();
    for (number, link) in [
        Link::Grpc,
        Link::Kafka(Service::Patient),
        Link::Postgres(Service::Patient),
        Link::Postgres(Service::Auth),
        Link::Postgres(Service::Billing),
        Link::Http(Service::Patient),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = system.link(link);
        proxy.cut().await;
        let body = patient(&format!("outage{number}")).to_string();
        let search = format!("/api/patients?search={}", canary("search"));
        let login = json!({"email": format!("{MARK}user@{MARK}host.example"), "password": canary("password1")});
        let requests = vec![
            Sent::new("POST", "/api/patients", &auth, &body),
            Sent::new("PUT", &format!("/api/patients/{id}"), &auth, &body),
            Sent::new("GET", &search, &auth, ""),
            Sent::new("POST", "/auth/login", &[], login.to_string()),
        ];
        answers.extend(send_all(door, requests).await);
        proxy.restore().await;
    }
    for service in [Service::Patient, Service::Auth, Service::Billing] {
        let ready = format!("{} to be ready again", service.name());
        until(&ready, PATIENCE, async || system.replica(service).is_ready().await).await;
    }
    answers
}
