//! The OpenAPI document of each service is valid and matches its behaviour: `scripts/schemathesis` finds nothing.

use std::{path::Path, process::Command};

use end_to_end::{Options, Service, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker, and installs schemathesis from PyPI; scripts/test runs it"]
async fn the_responses_of_a_service_match_its_document() {
    let system = System::start(Options::default()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/schemathesis");
    let mut failed = Vec::new();
    // The requests to auth-service may demote the administrator, so it is the last one.
    for service in Service::ALL.into_iter().rev() {
        // A run is shorter than the lifetime of a token.
        let client = match service {
            Service::Audit => system.auditor().await,
            _ => system.admin().await,
        };
        let mut command = Command::new(&script);
        command
            .arg(format!("http://{}", system.replica(service).address()))
            .env("SERVICE_TOKEN", client.token().expect("a token"));
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.expect("a thread").expect("scripts/schemathesis");
        let report = String::from_utf8_lossy(&output.stdout);
        eprintln!(
            "{}: {}",
            service.name(),
            report.trim().lines().last().unwrap_or_default()
        );
        if !output.status.success() {
            failed.push(format!(
                "{}\n{report}\n{}",
                service.name(),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        assert!(
            system.replica(service).is_ready().await,
            "{} is not ready afterwards",
            service.name()
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
