//! One request is one trace through every service, and the metrics of every service are well-formed.

use std::{net::Ipv4Addr, time::Duration};

use end_to_end::{Client, Options, Service, System, free_port, wait_for, wait_until};
use kit::{
    testing::{CollectedSpan, Collector, TraceParent, exposition},
    trace::HEADER,
};
use serde_json::json;
use tokio::net::TcpListener;

/// Time limit for spans and events to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Personal data that must not be in any span or metric.
const PERSONAL: [&str; 4] = ["Quatermain", "zebulon", "Kukuana", "1885-09-30"];

fn patient() -> serde_json::Value {
    json!({
        "name": "Zebulon Quatermain",
        "email": "zebulon@example.org",
        "address": "3 Kukuana Road",
        "dateOfBirth": "1885-09-30",
    })
}

/// Finds the span of this service, kind and name.
fn find<'a>(spans: &'a [CollectedSpan], service: &str, kind: &str, name: &str) -> Option<&'a CollectedSpan> {
    spans
        .iter()
        .find(|span| (span.service.as_str(), span.kind.as_str(), span.name.as_str()) == (service, kind, name))
}

/// The spans of a creation: service, kind, name, and the index of the parent in this list.
const SPANS: [(&str, &str, &str, Option<usize>); 10] = [
    ("api-gateway", "SERVER", "POST /api/patients", None),
    ("api-gateway", "CLIENT", "POST", Some(0)),
    ("patient-service", "SERVER", "POST /patients", Some(1)),
    (
        "patient-service",
        "CLIENT",
        "billing.v1.BillingService/CreateBillingAccount",
        Some(2),
    ),
    (
        "billing-service",
        "SERVER",
        "billing.v1.BillingService/CreateBillingAccount",
        Some(3),
    ),
    ("patient-service", "PRODUCER", "send patient", Some(2)),
    ("analytics-service", "CONSUMER", "process patient", Some(5)),
    ("notification-service", "CONSUMER", "process patient", Some(5)),
    ("patient-service", "PRODUCER", "send audit", Some(2)),
    ("audit-service", "CONSUMER", "process audit", Some(8)),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the service binaries, PostgreSQL and Kafka; scripts/test runs it"]
async fn one_trace_id_goes_through_gateway_service_grpc_kafka_and_consumers() {
    let collector = Collector::start().await;
    let options = Options::default()
        .env_for_all("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.clone())
        .env_for_all("OTEL_BSP_SCHEDULE_DELAY", "100");
    let system = System::start(options).await;
    let admin = system.admin().await;
    let caller = TraceParent::random();

    let creation = admin.post("/api/patients").header(HEADER, &caller.to_string());
    let response = creation.json(&patient()).response().await;
    assert_eq!(response.status, 201, "{}", response.text());

    let all = |spans: &[CollectedSpan]| {
        SPANS
            .iter()
            .all(|(service, kind, name, _)| find(spans, service, kind, name).is_some())
    };
    let spans = collector.trace(&caller.trace_id, TIMEOUT, all).await;
    for (service, kind, name, parent) in SPANS {
        let span = find(&spans, service, kind, name).expect("a span of the list");
        let parent = match parent {
            None => caller.span_id.clone(),
            Some(index) => {
                let (service, kind, name, _) = SPANS[index];
                find(&spans, service, kind, name).expect("its parent").id.clone()
            }
        };
        assert_eq!(
            span.parent, parent,
            "the parent of {service} {kind} {name} in {spans:#?}"
        );
        assert!(!span.failed, "{span:#?}");
    }

    // The log lines of the services have the same trace id.
    for service in [Service::Gateway, Service::Patient, Service::Billing] {
        let lines = system.replica(service).log_lines();
        assert!(
            lines.iter().any(|line| line.contains(&caller.trace_id)),
            "no log line of {} has the trace id",
            service.name()
        );
    }

    let token = admin.token().expect("the admin's token").to_owned();
    let spans = format!("{:?}", collector.spans());
    for personal in PERSONAL
        .into_iter()
        .chain([token.as_str(), System::ADMIN.0, System::ADMIN.1])
    {
        assert!(!spans.contains(personal), "{personal} is in a span");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the service binaries, PostgreSQL and Kafka; scripts/test runs it"]
async fn sigterm_exports_the_spans_that_are_not_sent_yet() {
    let collector = Collector::start().await;
    let system = System::start(auth_with_collector(&collector.endpoint)).await;
    let caller = TraceParent::random();
    let jwks = system.replica(Service::Auth).client();
    let request = jwks.get("/.well-known/jwks.json").header(HEADER, &caller.to_string());
    assert_eq!(request.response().await.status, 200);
    assert!(collector.spans().is_empty(), "the next batch is an hour away");

    assert!(system.replica(Service::Auth).terminate().await.success());
    let spans = collector
        .trace(&caller.trace_id, TIMEOUT, |spans| !spans.is_empty())
        .await;
    assert_eq!(spans[0].name, "GET /.well-known/jwks.json");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the service binaries, PostgreSQL and Kafka; scripts/test runs it"]
async fn an_unreachable_or_silent_collector_delays_nothing() {
    // One refuses connections; the other accepts them in the backlog of its socket and never responds.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let silent = (
        format!("http://{}", silent.local_addr().expect("its port")),
        Some(silent),
    );
    let unreachable = (format!("http://127.0.0.1:{}", free_port()), None);
    for (endpoint, _listening) in [silent, unreachable] {
        let options = auth_with_collector(&endpoint).env(Service::Auth, "OTEL_BSP_SCHEDULE_DELAY", "20");
        let system = System::start(options).await;
        let auth = system.replica(Service::Auth);
        for _ in 0..50 {
            let response = auth.client().get("/.well-known/jwks.json").response().await;
            assert_eq!(response.status, 200);
        }
        assert!(auth.terminate().await.success(), "it ends in time and successfully");
        let lines = auth.log_lines();
        let warnings = lines.iter().filter(|line| line.contains("cannot export spans"));
        assert!(warnings.count() <= 1, "more than one warning: {lines:#?}");
    }
}

/// Options with auth-service alone, which exports its spans after an hour or at its end.
fn auth_with_collector(endpoint: &str) -> Options {
    Options::default()
        .only([Service::Auth])
        .env_for_all("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env_for_all("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .env_for_all("SHUTDOWN_DELAY", "0")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the service binaries, PostgreSQL and Kafka; scripts/test runs it"]
async fn metrics_of_every_service_are_well_formed_and_have_no_personal_data() {
    let system = System::start(Options::default()).await;
    let admin = system.admin().await;
    let id = send_requests(&admin).await;
    counted_once(&system).await;
    let sent = || async {
        let patient = system.replica(Service::Patient);
        patient.metric("outbox_sent_total", &[]).await > 0.0
    };
    wait_until("events of the outbox that are sent", TIMEOUT, sent).await;

    let http = [
        "http_requests_total",
        "http_request_duration_seconds_bucket",
        "http_requests_in_flight",
    ];
    let pool = ["database_pool_connections", "database_acquire_seconds_count"];
    let consumer = ["kafka_messages_total"];
    let expected: [(Service, &[&[&str]]); 6] = [
        (
            Service::Gateway,
            &[&http, &["gateway_upstream_requests_total", "token_failures_total"]],
        ),
        (Service::Auth, &[&http, &pool, &["auth_logins_total"]]),
        (
            Service::Patient,
            &[
                &http,
                &pool,
                &["outbox_backlog", "outbox_oldest_age_seconds", "outbox_sent_total"],
                &[
                    "grpc_client_handled_total",
                    "grpc_client_handling_seconds_count",
                    "patients_created_total",
                ],
            ],
        ),
        (
            Service::Billing,
            &[
                &http,
                &pool,
                &["grpc_server_handled_total", "grpc_server_handling_seconds_count"],
            ],
        ),
        (Service::Analytics, &[&http, &pool, &consumer]),
        (Service::Notification, &[&http, &pool, &consumer]),
    ];
    for (service, names) in expected {
        let name = service.name();
        let text = system.replica(service).metrics().await;
        let samples = exposition::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for expected in names.iter().copied().flatten() {
            assert!(
                samples.iter().any(|sample| sample.name == *expected),
                "{name} has no {expected}:\n{text}"
            );
        }
        for value in samples.iter().flat_map(|sample| sample.labels.values()) {
            let personal = value.contains('@') || uuid::Uuid::try_parse(value).is_ok() || value.contains(&id);
            assert!(!personal, "{name} has the label {value:?}");
            assert!(
                PERSONAL.iter().all(|word| !value.contains(word)),
                "{name} has the label {value:?}"
            );
        }
        let series = samples
            .iter()
            .filter(|sample| !sample.name.ends_with("_bucket"))
            .count();
        assert!(series < 400, "{name} has {series} series after a handful of requests");
    }
}

/// Creates a patient, waits for its notification, and sends requests of every kind; returns the patient's id.
async fn send_requests(admin: &Client) -> String {
    let response = admin.post("/api/patients").json(&patient()).response().await;
    assert_eq!(response.status, 201, "{}", response.text());
    let id = response.json()["id"].as_str().expect("an id").to_owned();
    for (path, status) in [
        (format!("/api/patients/{id}"), 200),
        ("/api/patients?search=zebulon".to_owned(), 200),
        ("/api/patients/zebulon@example.org".to_owned(), 400),
        ("/api/analytics/summary".to_owned(), 200),
    ] {
        assert_eq!(admin.get(&path).response().await.status, status, "{path}");
    }
    let forged = admin.with_token(format!("{}x", admin.token().expect("a token")));
    assert_eq!(forged.get("/api/patients").response().await.status, 401);
    wait_for("the notification", TIMEOUT, async || {
        let response = admin
            .get(&format!("/api/notifications?patientId={id}"))
            .response()
            .await;
        response
            .json()
            .as_array()
            .is_some_and(|list| !list.is_empty())
            .then_some(())
    })
    .await;
    id
}

/// Checks that what happened once was counted once.
async fn counted_once(system: &System) {
    for (service, name, labels) in [
        (
            Service::Gateway,
            "http_requests_total",
            &["method=\"POST\"", "route=\"/api/patients\"", "status=\"201\""][..],
        ),
        (
            Service::Gateway,
            "gateway_upstream_requests_total",
            &["peer=\"patient-service\"", "outcome=\"201\""],
        ),
        (Service::Gateway, "token_failures_total", &[]),
        (
            Service::Patient,
            "grpc_client_handled_total",
            &["method=\"CreateBillingAccount\"", "code=\"OK\""],
        ),
        (
            Service::Billing,
            "grpc_server_handled_total",
            &["method=\"CreateBillingAccount\"", "code=\"OK\""],
        ),
        (Service::Analytics, "kafka_messages_total", &["outcome=\"done\""]),
    ] {
        let what = format!("{name} {labels:?} of {}", service.name());
        let count = wait_for(&what, TIMEOUT, async || {
            let count = system.replica(service).metric(name, labels).await;
            (count > 0.0).then_some(count)
        });
        assert!((count.await - 1.0).abs() < f64::EPSILON, "{what}");
    }
}
