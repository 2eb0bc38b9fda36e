//! `deployer images` against a registry that nobody here wrote: what goes up, what does not, what breaks, who is refused.
//!
//! Run by `scripts/test images`: it compiles, and wants Debian's docker-registry.

mod support;

use support::registry::{BreakingLine, Registry};
use support::stranger::stranger;
use support::{Said, Scratch, curl};

/// Pushes as `ada` with this password, to a registry on this port.
fn push(scratch: &Scratch, port: u16, password: &str, more: &[&str]) -> Said {
    let registry = format!("127.0.0.1:{port}/project");
    let mut command = scratch.command(&["images", "push", "--registry", &registry]);
    command
        .args(more)
        .env("DEPLOYER_REGISTRY_USERNAME", "ada")
        .env("DEPLOYER_REGISTRY_PASSWORD", password);
    let said = Said::from(command.output().unwrap());
    println!(
        "\n$ deployer images push --registry {registry} (exit {})\n{}",
        said.code, said.all
    );
    said
}

#[test]
#[ignore = "compiles; run by scripts/test images"]
fn an_upload_that_breaks_is_begun_again_and_what_is_there_is_not_sent_twice() {
    let Some(registry) = Registry::start() else {
        println!("skipped: docker-registry is not installed (`apt-get install docker-registry`)");
        return;
    };
    let scratch = stranger();
    let line = BreakingLine::to(registry.port, 200_000);
    let first = push(&scratch, line.port, "sesame", &["--tag", "1.0"]);
    assert_eq!(first.code, 0);
    assert!(line.has_broken(), "the line was to break");
    assert!(first.all.contains("image hello: pushed sha256:"), "{}", first.all);
    let image = first.out.trim();
    let digest = image.rsplit('@').next().unwrap();

    let sent = line.sent();
    let again = push(&scratch, line.port, "sesame", &["--tag", "1.0"]);
    assert!(
        again.all.contains(&format!("image hello: unchanged {digest}")),
        "{}",
        again.all
    );
    assert!(
        line.sent() - sent < 10_000,
        "{} bytes went up again",
        line.sent() - sent
    );

    let url = format!("http://127.0.0.1:{}/v2/project/hello/manifests/1.0", registry.port);
    let accept = "accept: application/vnd.oci.image.manifest.v1+json";
    let headers = curl(&["-I", "-u", "ada:sesame", "-H", accept, &url]);
    assert!(
        headers
            .to_lowercase()
            .contains(&format!("docker-content-digest: {digest}")),
        "{headers}"
    );
}

#[test]
#[ignore = "compiles; run by scripts/test images"]
fn a_registry_that_refuses_the_password_is_exit_3_with_the_way_out() {
    let Some(registry) = Registry::start() else {
        println!("skipped: docker-registry is not installed (`apt-get install docker-registry`)");
        return;
    };
    let scratch = stranger();
    let said = push(&scratch, registry.port, "open wheat", &[]);
    assert_eq!(said.code, 3);
    assert!(
        said.all.contains("does not allow this identity to push project/hello"),
        "{}",
        said.all
    );
    assert!(
        said.all
            .contains(&format!("hint: `docker login 127.0.0.1:{}`", registry.port)),
        "{}",
        said.all
    );
    assert!(!said.all.contains("open wheat"));
}

#[test]
#[ignore = "compiles; run by scripts/test images"]
fn an_image_is_listed_with_its_size_and_where_it_is_from_without_any_endpoint() {
    let scratch = stranger();
    assert_eq!(scratch.run(&["images", "build"]).code, 0);
    let listed = scratch.run(&["images"]);
    assert_eq!(listed.code, 0);
    assert!(listed.all.contains("what is deployed is not known"), "{}", listed.all);
    let row = listed.out.lines().find(|line| line.starts_with("hello")).unwrap();
    assert!(row.contains(" MB  sha256:") && row.ends_with("unknown"), "{row}");
    let archive = scratch.path().join("hello.tar");
    let loaded = scratch.run(&["images", "load", "--tag", "1.0", "--output", archive.to_str().unwrap()]);
    assert_eq!((loaded.code, loaded.out.trim()), (0, "hello/hello:1.0"));
    let unknown = scratch.run(&["images", "build", "nobody"]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.all.contains("no image is built for 'nobody'; there are hello"),
        "{}",
        unknown.all
    );
}
