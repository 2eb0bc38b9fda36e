//! No patient's data, token or secret in a log line, a metric, or the body of an error.
//!
//! Requests, messages and faults with made-up values in every place are sent to all services, which log all that they
//! can; then everything that they wrote is searched for those values.

mod acceptance;
mod canary;
mod drive;
mod faults;
mod wire;

use std::{collections::BTreeSet, net::SocketAddr};

use end_to_end::{Options, Service, System};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn nothing_that_is_secret_or_a_persons_is_ever_written_down() {
    // What is logged at `info` is among what is logged at `trace`.
    let system = System::start(Options::default().demo_patients().env_for_all("RUST_LOG", "trace")).await;
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
    for service in Service::ALL {
        let name = service.name();
        for replica in system.replicas(service) {
            assert!(replica.process().is_running(), "{name} has ended meanwhile");
            found.extend(search.look(&format!("{name}: /metrics"), &replica.metrics().await));
        }
        let lines = system.log_lines(service);
        let own = lines.iter().filter(|line| line.contains("\"answered\"")).count();
        assert!(
            own > 20,
            "{name} has logged only {own} answers: its log is not searched as it should be"
        );
        assert!(
            lines.iter().any(|line| line.contains(r#""level":"DEBUG""#)),
            "{name} logs nothing at debug, so that this test shows too little"
        );
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

fn summary(found: &BTreeSet<String>) -> String {
    let lines: Vec<&str> = found.iter().map(String::as_str).take(60).collect();
    lines.join("\n")
}

fn address(url: &str) -> SocketAddr {
    let address = url.trim_start_matches("http://").parse();
    address.unwrap_or_else(|error| panic!("{url}: {error}"))
}
