//! Each service's OpenAPI document is valid and true: `scripts/schemathesis` finds nothing.

use std::{path::Path, process::Command};

use end_to_end::{Options, Service, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker, and takes schemathesis from PyPI; scripts/test runs it"]
async fn what_a_service_answers_is_what_its_document_says() {
    let system = System::start(Options::default()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/schemathesis");
    let mut failed = Vec::new();
    // Whoever tries everything at auth-service may well demote the administrator, so its turn comes last.
    for service in Service::ALL.into_iter().rev() {
        // A run is shorter than a token is good.
        let admin = system.admin().await;
        let mut command = Command::new(&script);
        command
            .arg(format!("http://{}", system.replica(service).address()))
            .env("SERVICE_TOKEN", admin.token().expect("a token"));
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.expect("a thread").expect("scripts/schemathesis");
        let told = String::from_utf8_lossy(&output.stdout);
        eprintln!("{}: {}", service.name(), told.trim().lines().last().unwrap_or_default());
        if !output.status.success() {
            failed.push(format!(
                "{}\n{told}\n{}",
                service.name(),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        assert!(
            system.replica(service).is_ready().await,
            "{} is not well after it",
            service.name()
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
