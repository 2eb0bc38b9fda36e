//! `deployer images` against Debian's docker-registry: what is pushed, what is not, a broken connection, a rejected user.

use crate::support::hello::hello;
use crate::support::registry::{BreakingProxy, Registry};
use crate::support::{Project, Run, curl, skip, text};

const NO_REGISTRY: &str = "docker-registry is not installed (`apt-get install docker-registry`)";

/// Pushes as `ada` with this password, to a registry on this port.
fn push(project: &Project, port: u16, password: &str, more: &[&str]) -> Run {
    let registry = format!("127.0.0.1:{port}/project");
    let mut command = project.command(&["images", "push", "--registry", &registry, "--json"]);
    command
        .args(more)
        .env("DEPLOYER_REGISTRY_USERNAME", "ada")
        .env("DEPLOYER_REGISTRY_PASSWORD", password);
    let run = Run::from(command.output().unwrap());
    println!(
        "\n$ deployer images push --registry {registry} (exit {})\n{}",
        run.code,
        run.all()
    );
    run
}

/// The digest that an image event of this step reports.
fn digest(run: &Run, step: &str) -> String {
    let fits = |event: &serde_json::Value| event["event"] == "image" && event["step"] == step;
    text(&run.events()[run.position(step, fits)]["detail"])
}

#[test]
#[ignore = "compiles; run by scripts/test images"]
fn an_upload_over_a_broken_connection_is_retried_and_a_known_layer_is_not_sent_again() {
    let Some(registry) = Registry::start() else {
        return skip(NO_REGISTRY);
    };
    let project = hello();
    let proxy = BreakingProxy::to(registry.port, 200_000);
    let first = push(&project, proxy.port, "sesame", &["--tag", "1.0"]);
    assert_eq!(first.code, 0);
    assert!(proxy.has_broken(), "the connection was to break");
    let pushed = digest(&first, "pushed");
    assert!(text(&first.result()[0]["image"]).ends_with(&format!("@{pushed}")));

    let sent = proxy.sent();
    let again = push(&project, proxy.port, "sesame", &["--tag", "1.0"]);
    assert_eq!(digest(&again, "unchanged"), pushed);
    assert!(
        proxy.sent() - sent < 10_000,
        "{} bytes were sent again",
        proxy.sent() - sent
    );

    let url = format!("http://127.0.0.1:{}/v2/project/hello/manifests/1.0", registry.port);
    let accept = "accept: application/vnd.oci.image.manifest.v1+json";
    let headers = curl(&["-I", "-u", "ada:sesame", "-H", accept, &url]);
    assert!(
        headers
            .to_lowercase()
            .contains(&format!("docker-content-digest: {pushed}")),
        "{headers}"
    );
}

#[test]
#[ignore = "compiles; run by scripts/test images"]
fn a_password_that_the_registry_rejects_is_exit_code_3_with_a_hint() {
    let Some(registry) = Registry::start() else {
        return skip(NO_REGISTRY);
    };
    let project = hello();
    let run = push(&project, registry.port, "open wheat", &[]);
    run.fails(3, "registry");
    let hint = text(&run.error()["hint"]);
    assert!(
        hint.contains(&format!("docker login 127.0.0.1:{}", registry.port)),
        "{hint}"
    );
    assert!(!run.all().contains("open wheat"));
}

#[test]
#[ignore = "compiles; run by scripts/test images"]
fn images_are_listed_with_size_and_source_without_an_endpoint() {
    let project = hello();
    assert_eq!(project.run(&["images", "build"]).code, 0);
    let listed = project.run(&["images"]);
    assert_eq!(listed.code, 0);
    let row = listed.out.lines().find(|line| line.starts_with("hello")).unwrap();
    assert!(row.contains(" MB  sha256:") && row.ends_with("unknown"), "{row}");
    let archive = project.path().join("hello.tar");
    let loaded = project.run(&["images", "load", "--tag", "1.0", "--output", archive.to_str().unwrap()]);
    assert_eq!((loaded.code, loaded.out.trim()), (0, "hello/hello:1.0"));
    let unknown = project.json(&["images", "build", "unknown"]);
    unknown.fails(1, "invalid_argument");
    assert!(text(&unknown.error()["hint"]).contains("hello"), "the known services");
}
