//! Processes that exit at start because a setting with a secret is invalid.

use std::{path::PathBuf, process::Stdio, time::Duration};

use end_to_end::{Service, System};
use tokio::{process::Command, time::timeout};

use super::canary::canary;

/// Name and value of an environment variable.
type Setting<'a> = (&'a str, &'a str);

/// Time limit for a process to reject its settings.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Starts services with invalid settings, and returns the output of each with its name.
pub async fn rejected(system: &System) -> Vec<(String, String)> {
    let (secret, auth) = (canary("setting"), system.postgres().url("auth"));
    let missing = format!(
        "postgres://postgres:{secret}@127.0.0.1:{}/missing",
        system.postgres().port()
    );
    let malformed = format!("postgres://postgres:{secret}@[::/auth");
    let other_key = canary("another-key-of-32-characters-or-more");
    let lines = format!("{secret}\n{secret}");
    let database = ("DATABASE_URL", auth.as_str());
    let key = ("AUTH_KEY_ENCRYPTION_KEY", system.secret("AUTH_KEY_ENCRYPTION_KEY"));
    let cases: [(Service, &str, [Setting<'_>; 2]); 7] = [
        (
            Service::Auth,
            "a malformed address",
            [("DATABASE_URL", &malformed), key],
        ),
        (Service::Auth, "no address at all", [("DATABASE_URL", &secret), key]),
        (Service::Auth, "no such database", [("DATABASE_URL", &missing), key]),
        (
            Service::Auth,
            "a short key",
            [database, ("AUTH_KEY_ENCRYPTION_KEY", &secret[..8])],
        ),
        (
            Service::Auth,
            "another key",
            [database, ("AUTH_KEY_ENCRYPTION_KEY", &other_key)],
        ),
        (
            Service::Patient,
            "a secret of two lines",
            [database, ("BILLING_LINK_SECRET", &lines)],
        ),
        (
            Service::Billing,
            "no such database",
            [("DATABASE_URL", &missing), ("BILLING_LINK_SECRET", &secret)],
        ),
    ];
    let mut outputs = Vec::new();
    for (service, what, env) in cases {
        let output = run(service, &env).await;
        outputs.push((format!("{} with {what}", service.name()), output));
    }
    outputs
}

/// Runs a service until it exits, and returns stdout and stderr.
async fn run(service: Service, env: &[(&str, &str)]) -> String {
    let mut command = Command::new(binary(service));
    command.env_clear().envs(env.iter().copied()).env("RUST_LOG", "trace");
    command.env("HOST", "127.0.0.1").env("PORT", "0");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = timeout(TIMEOUT, command.output()).await else {
        panic!("{} accepts invalid settings", service.name());
    };
    let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", service.name()));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        !output.status.success() && !text.is_empty(),
        "{} exits without a message",
        service.name()
    );
    text
}

fn binary(service: Service) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors()
        .nth(2)
        .expect("target/release/deps")
        .join(service.name())
}
