//! No patient's data, token or secret in a log line, a metric, or the body of an error.
//!
//! Requests, messages and faults with made-up values in every place are sent to all services, which log all that they
//! can; then everything that they wrote is searched for those values.

mod acceptance;
mod canary;
mod drive;
mod faults;
mod settings;
mod wire;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use end_to_end::{Options, Service, System};
use kit::{
    testing::Collector,
    trace::{HEADER, Trace},
};

use canary::Search;
use wire::Answer;

/// Paths of each service that read parameters.
const PATHS: [(Service, &[&str]); 5] = [
    (Service::Auth, &["/users"]),
    (Service::Patient, &["/patients", "/families"]),
    (Service::Billing, &["/billing/accounts"]),
    (
        Service::Analytics,
        &["/analytics/summary", "/analytics/timeline", "/analytics/events"],
    ),
    (Service::Notification, &["/notifications"]),
];

/// The same at the gateway, and what it has of its own.
const PUBLIC: [&str; 11] = [
    "/auth/users",
    "/auth/validate",
    "/auth/login",
    "/api/patients",
    "/api/families",
    "/api/billing/accounts",
    "/api/analytics/summary",
    "/api/analytics/events",
    "/api/notifications",
    "/api-docs",
    "/docs",
];

/// Lines that must be there: from `debug` up, of requests with and without the database, of messages and of calls.
const OWN: [(Service, &str); 9] = [
    (Service::Auth, r#""message":"a user logged in""#),
    (Service::Auth, r#""level":"DEBUG""#),
    (
        Service::Patient,
        r#""http.method":"PUT","http.route":"/patients/{id}","http.status":409"#,
    ),
    (Service::Patient, r#""message":"the database cannot be reached""#),
    (Service::Billing, r#""message":"billing account asked for""#),
    (
        Service::Analytics,
        r#""level":"DEBUG","service":"analytics-service","message":"event""#,
    ),
    (
        Service::Notification,
        r#""level":"DEBUG","service":"notification-service","message":"event""#,
    ),
    (Service::Notification, r#""message":"notification sent""#),
    (Service::Gateway, r#""http.status":503"#),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn nothing_that_is_secret_or_a_persons_is_ever_written_down() {
    let collector = Collector::start().await;
    let options = Options::default()
        .demo_patients()
        .env_for_all("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.clone())
        .env_for_all("OTEL_BSP_SCHEDULE_DELAY", "100")
        // What is logged at `info` is among what is logged at `trace`.
        .env_for_all("RUST_LOG", "trace");
    let system = System::start(options).await;
    let door = address(&system.url());
    let (admin_email, admin_password) = System::ADMIN;
    let admin = drive::log_in(door, admin_email, admin_password).await;

    acceptance::run(&system.url()).await;
    let (user, mut answers) = drive::accounts(door, &admin).await;
    let (patient, more) = drive::patients(door, &admin).await;
    answers.extend(more);
    answers.extend(drive::places(door, &PUBLIC, &admin.bearer).await);
    answers.extend(drive::malformed(door).await);
    for (service, paths) in PATHS {
        let direct = system.replica(service).address();
        answers.extend(drive::places(direct, paths, &admin.bearer).await);
        answers.extend(drive::malformed(direct).await);
    }
    faults::calls(&system).await;
    faults::poison(&system, patient).await;
    answers.extend(faults::outages(&system, door, &admin, patient).await);

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

    let mut found = in_answers(&search, &answers);
    for (place, told) in settings::refused(&system).await {
        found.extend(search.look(&place, &told));
    }
    found.extend(in_spans(&search, &collector, &system).await);
    for service in Service::ALL {
        let name = service.name();
        for replica in system.replicas(service) {
            assert!(replica.process().is_running(), "{name} has ended meanwhile");
            found.extend(search.look(&format!("{name}: /metrics"), &replica.metrics().await));
        }
        let lines = system.log_lines(service);
        // Where lines are missing, nothing is shown by finding nothing in them.
        for line in OWN.iter().filter(|(whose, _)| *whose == service).map(|(_, line)| line) {
            assert!(
                lines.iter().any(|written| written.contains(line)),
                "{name} has not logged {line}"
            );
        }
        found.extend(search.look(&format!("{name}: log"), &lines.join("\n")));
    }
    let kinds = summary(&found);
    assert!(found.is_empty(), "{} leaks:\n{kinds}", found.len());
}

/// Leaks in what was answered with an error; what somebody may see of a success is another matter.
fn in_answers(search: &Search, answers: &[Answer]) -> BTreeSet<String> {
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status >= 400).collect();
    assert!(refused.len() > 500, "only {} requests were refused", refused.len());
    let faults: Vec<&str> = refused
        .iter()
        .filter(|answer| answer.status == 500)
        .map(|answer| answer.asked.as_str())
        .collect();
    assert!(faults.is_empty(), "answered with 500: {faults:?}");
    refused
        .into_iter()
        .flat_map(|answer| search.look(&format!("{} answers {}", answer.asked, answer.status), &answer.text))
        .collect()
}

/// Leaks in the traces that were sent; a last request shows that those before it have arrived.
async fn in_spans(search: &Search, collector: &Collector, system: &System) -> BTreeSet<String> {
    let last = Trace::fresh();
    let client = system.anyone();
    let request = client
        .get("/auth/.well-known/jwks.json")
        .header(HEADER, &last.to_string());
    assert_eq!(request.answer().await.status, 200);
    collector
        .trace(&last.hex(), Duration::from_secs(20), |spans| spans.len() >= 3)
        .await;
    let spans = collector.spans();
    for service in Service::ALL.map(Service::name) {
        assert!(
            spans.iter().any(|span| span.service == service),
            "{service} has sent no span"
        );
    }
    let told: Vec<String> = spans.iter().map(|span| format!("{span:?}")).collect();
    search.look("a span", &told.join("\n"))
}

fn summary(found: &BTreeSet<String>) -> String {
    let lines: Vec<&str> = found.iter().map(String::as_str).take(60).collect();
    lines.join("\n")
}

fn address(url: &str) -> SocketAddr {
    let address = url.trim_start_matches("http://").parse();
    address.unwrap_or_else(|error| panic!("{url}: {error}"))
}
