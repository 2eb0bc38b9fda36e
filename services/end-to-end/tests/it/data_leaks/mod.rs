//! No personal data, token or secret in a log line, a metric, a span, or the body of an error.
//!
//! All services get requests, messages and faults with canary values in every input, at the log level `trace`; then
//! their output is searched for those values.

mod acceptance;
mod canary;
mod drive;
mod faults;
mod settings;
mod wire;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use end_to_end::{Options, Service, System, requests};
use kit::{
    testing::{Collector, TraceParent},
    trace::HEADER,
};

use canary::Search;
use wire::Response;

/// Paths of each service that read parameters.
const PATHS: [(Service, &[&str]); 6] = [
    (Service::Auth, &["/users"]),
    (Service::Patient, &["/patients", "/families"]),
    (Service::Billing, &["/billing/accounts"]),
    (
        Service::Analytics,
        &["/analytics/summary", "/analytics/timeline", "/analytics/events"],
    ),
    (Service::Notification, &["/notifications"]),
    (Service::Audit, &["/audit"]),
];

/// Paths at the gateway.
const PUBLIC: [&str; 12] = [
    "/auth/users",
    "/auth/validate",
    "/auth/login",
    "/api/patients",
    "/api/families",
    "/api/billing/accounts",
    "/api/analytics/summary",
    "/api/analytics/events",
    "/api/notifications",
    "/api/audit",
    "/api-docs",
    "/docs",
];

/// Log lines that must exist: of requests with and without the database, of messages and of calls.
const EXPECTED_LINES: [(Service, &str); 9] = [
    (Service::Auth, r#""message":"a user logged in""#),
    (Service::Auth, r#""level":"DEBUG""#),
    (
        Service::Patient,
        r#""http.method":"PUT","http.route":"/patients/{id}","http.status":409"#,
    ),
    (Service::Patient, r#""message":"the database is unreachable""#),
    (Service::Billing, r#""message":"billing account requested""#),
    (
        Service::Analytics,
        r#""level":"DEBUG","service":"analytics-service","message":"handled an event""#,
    ),
    (
        Service::Notification,
        r#""level":"DEBUG","service":"notification-service","message":"handled an event""#,
    ),
    (Service::Notification, r#""message":"sent a notification""#),
    (Service::Gateway, r#""http.status":503"#),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn no_output_has_personal_data_or_secrets() {
    let collector = Collector::start().await;
    let options = Options::default()
        .demo_patients()
        .env_for_all("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.clone())
        .env_for_all("OTEL_BSP_SCHEDULE_DELAY", "100")
        // The lines at `info` are included in those at `trace`.
        .env_for_all("RUST_LOG", "trace");
    let system = System::start(options).await;
    let gateway = address(&system.url());
    let (admin_email, admin_password) = System::ADMIN;
    let admin = drive::log_in(gateway, admin_email, admin_password).await;

    acceptance::run(&system.url()).await;
    let faults = requests::send_all(&system).await;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    let (user, mut responses) = drive::accounts(gateway, &admin).await;
    let (patient, more) = drive::patients(gateway, &admin).await;
    responses.extend(more);
    responses.extend(drive::inputs(gateway, &PUBLIC, &admin.bearer).await);
    responses.extend(drive::malformed(gateway).await);
    for (service, paths) in PATHS {
        let direct = system.replica(service).address();
        responses.extend(drive::inputs(direct, paths, &admin.bearer).await);
        responses.extend(drive::malformed(direct).await);
    }
    faults::calls(&system).await;
    faults::poison(&system, patient).await;
    responses.extend(faults::outages(&system, gateway, &admin, patient).await);

    let mut search = Search::new();
    for name in ["AUTH_KEY_ENCRYPTION_KEY", "BILLING_LINK_SECRET", "DATABASE_PASSWORD"] {
        search.secret(name, system.secret(name));
    }
    for (name, session) in [
        ("the admin's refresh token", &admin),
        ("the user's refresh token", &user),
    ] {
        search.secret(name, &session.refresh);
    }
    search.secret("the admin's password", admin_password);
    search.secret("the admin's email address", admin_email);

    let mut findings = in_responses(&search, &responses);
    for (process, output) in settings::rejected(&system).await {
        findings.extend(search.find_in(&process, &output));
    }
    findings.extend(in_spans(&search, &collector, &system).await);
    for service in Service::ALL {
        let name = service.name();
        for replica in system.replicas(service) {
            assert!(replica.process().is_running(), "{name} exited during the test");
            findings.extend(search.find_in(&format!("{name}: /metrics"), &replica.metrics().await));
        }
        let lines = system.log_lines(service);
        // Without these lines, a search without findings would prove nothing.
        for line in EXPECTED_LINES
            .iter()
            .filter(|(of, _)| *of == service)
            .map(|(_, line)| line)
        {
            assert!(
                lines.iter().any(|written| written.contains(line)),
                "{name} has not logged {line}"
            );
        }
        findings.extend(search.find_in(&format!("{name}: log"), &lines.join("\n")));
    }
    let shown = summary(&findings);
    assert!(findings.is_empty(), "{} leaks:\n{shown}", findings.len());
}

/// Searches the error responses; a successful response may contain the data that the user may read.
fn in_responses(search: &Search, responses: &[Response]) -> BTreeSet<String> {
    let errors: Vec<&Response> = responses.iter().filter(|response| response.status >= 400).collect();
    assert!(errors.len() > 500, "only {} requests failed", errors.len());
    let faults: Vec<&str> = errors
        .iter()
        .filter(|response| response.status == 500)
        .map(|response| response.request.as_str())
        .collect();
    assert!(faults.is_empty(), "status 500: {faults:?}");
    errors
        .into_iter()
        .flat_map(|response| {
            search.find_in(
                &format!("{} with status {}", response.request, response.status),
                &response.text,
            )
        })
        .collect()
}

/// Searches the exported spans; the spans of a last request show that the earlier ones have arrived.
async fn in_spans(search: &Search, collector: &Collector, system: &System) -> BTreeSet<String> {
    let last = TraceParent::random();
    let client = system.anonymous();
    let request = client
        .get("/auth/.well-known/jwks.json")
        .header(HEADER, &last.to_string());
    assert_eq!(request.response().await.status, 200);
    collector
        .trace(&last.trace_id, Duration::from_secs(20), |spans| spans.len() >= 3)
        .await;
    let spans = collector.spans();
    for service in Service::ALL.map(Service::name) {
        assert!(
            spans.iter().any(|span| span.service == service),
            "{service} exported no span"
        );
    }
    let spans: Vec<String> = spans.iter().map(|span| format!("{span:?}")).collect();
    search.find_in("a span", &spans.join("\n"))
}

fn summary(findings: &BTreeSet<String>) -> String {
    let lines: Vec<&str> = findings.iter().map(String::as_str).take(60).collect();
    lines.join("\n")
}

fn address(url: &str) -> SocketAddr {
    let address = url.trim_start_matches("http://").parse();
    address.unwrap_or_else(|error| panic!("{url}: {error}"))
}
