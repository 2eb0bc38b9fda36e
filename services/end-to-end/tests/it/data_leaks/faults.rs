//! Internal faults: rejected gRPC calls, messages that cannot be decoded, unreachable peers.

use std::{net::SocketAddr, time::Duration};

use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{BillingRequest, billing_service_client::BillingServiceClient},
    patient::events::PatientEvent,
    topics::{PATIENT, PATIENT_DLQ},
};
use end_to_end::{Link, Service, System, wait_until};
use prost::Message;
use serde_json::json;
use tonic::{Code, Request};
use uuid::Uuid;

use super::{
    canary::{MARK, canary},
    drive::{Session, patient},
    wire::{Request as Sent, Response, send_all},
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes gRPC calls with and without the link's secret.
pub async fn calls(system: &System) {
    let address = format!("http://{}", system.link(Link::Grpc).address());
    let mut client = BillingServiceClient::connect(address)
        .await
        .expect("billing's gRPC side");
    let good = system.secret("BILLING_LINK_SECRET").to_owned();
    let request_for = |patient_id: String, name: String| BillingRequest {
        patient_id,
        name,
        email: format!("{MARK}grpc@{MARK}host.example"),
        version: 1,
    };
    let any_id = || Uuid::new_v4().to_string();
    for (secret, request, code) in [
        (
            canary("link"),
            request_for(any_id(), canary("grpcname")),
            Code::Unauthenticated,
        ),
        (
            good.clone(),
            request_for(canary("grpcid"), canary("grpcname")),
            Code::InvalidArgument,
        ),
        (
            good.clone(),
            request_for(any_id(), canary("nul\0")),
            Code::InvalidArgument,
        ),
        (
            good.clone(),
            request_for(any_id(), canary(&"long".repeat(400))),
            Code::InvalidArgument,
        ),
        (good, request_for(any_id(), canary("grpcname")), Code::Ok),
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
        assert!(
            !status.message().contains(MARK),
            "the message quotes the request: {}",
            status.message()
        );
    }
}

/// Produces messages that no consumer can decode, and a valid one.
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
    let invalid = [
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
    for event in &invalid {
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
    // Each group writes a dead letter for each of them.
    wait_until("the dead letters", TIMEOUT, async || {
        kafka.records(PATIENT_DLQ).await.len() >= before + 2 * (invalid.len() + 1)
    })
    .await;
    for record in kafka.records(PATIENT_DLQ).await {
        let headers = ["reason", "topic", "partition", "offset"].map(|name| record.header(name).unwrap_or_default());
        assert!(
            !headers.concat().contains(MARK),
            "a header quotes the message: {headers:?}"
        );
    }
}

/// Sends requests while each link is cut in turn.
pub async fn outages(system: &System, gateway: SocketAddr, admin: &Session, id: Uuid) -> Vec<Response> {
    let auth = [("Authorization", admin.bearer.as_str())];
    let mut responses = Vec::new();
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
        responses.extend(send_all(gateway, requests).await);
        proxy.restore().await;
    }
    for service in [Service::Patient, Service::Auth, Service::Billing] {
        let ready = format!("{} to be ready again", service.name());
        wait_until(&ready, TIMEOUT, async || system.replica(service).is_ready().await).await;
    }
    responses
}
