//! A stack whose template is too large for a request: it goes through a bucket, of which nothing is left.

mod support;

use std::fmt::Write;

use support::stranger::stranger;
use support::{Scratch, curl};

/// What S3 answers to a GET.
fn bucket(system: &Scratch, path: &str) -> String {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let url = format!("http://127.0.0.1:{}{path}", system.endpoint);
    curl(&["-H", &format!("Authorization: {scope}"), &url])
}

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_stack_of_more_than_51200_bytes_is_deployed_changed_and_destroyed() {
    let system = stranger();
    let mut variables = String::new();
    for number in 0..500 {
        write!(variables, "SETTING_{number:03} = \"{}\", ", "x".repeat(70)).unwrap();
    }
    system.edit(
        "deployer.toml",
        "[services.hello]\n",
        &format!("[services.hello]\nenvironment = {{ {variables} MODE = \"quiet\" }}\n"),
    );
    let template: serde_json::Value = serde_json::from_str(&system.run(&["synth", "hello"]).out).unwrap();
    let bytes = template.to_string().len();
    assert!(bytes > 51_200, "the template has {bytes} bytes only");

    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(curl(&[&system.url()]), "hello");
    let name = "deployer-templates-000000000000-us-east-1";
    assert!(bucket(&system, "/").contains(name), "it went through the bucket");
    let left = bucket(&system, &format!("/{name}?list-type=2"));
    assert!(left.contains("<KeyCount>0</KeyCount>"), "a template was left: {left}");
    let access = bucket(&system, &format!("/{name}?publicAccessBlock"));
    assert_eq!(access.matches(">true<").count(), 4, "{access}");
    assert!(bucket(&system, &format!("/{name}?lifecycle")).contains("<Days>3</Days>"));

    assert_eq!(system.run(&["validate", "--online"]).code, 0);
    system.edit("deployer.toml", "MODE = \"quiet\"", "MODE = \"loud\"");
    let diff = system.run(&["diff"]);
    assert!(diff.code == 0 && diff.out.contains("quiet -> loud"));
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert!(system.run(&["diff", "--exit-code"]).code == 0, "nothing is left to do");

    let plan = system.run(&["destroy", "--dry-run"]);
    assert!(plan.out.contains(&format!("bucket for templates {name}")));
    let gone = system.run(&["destroy", "--yes", "--keep-endpoint"]);
    assert_eq!(gone.code, 0);
    assert!(gone.all.contains(&format!("deleted bucket for templates {name}")));
    assert!(!bucket(&system, "/").contains("<Name>"), "a bucket was left");
    assert!(!system.state().join("s3").join(name).exists());
    assert_eq!(system.run(&["endpoint", "stop"]).code, 0);
}
