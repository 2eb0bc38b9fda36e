//! A stack whose template is too large for a request: it is uploaded to a bucket, and no template stays there.

use std::fmt::Write;

use crate::support::hello::hello;
use crate::support::{Project, curl};

/// The response of S3 to a GET.
fn get(project: &Project, path: &str) -> String {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let url = format!("http://127.0.0.1:{}{path}", project.endpoint);
    curl(&["-H", &format!("Authorization: {scope}"), &url])
}

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_stack_of_more_than_51200_bytes_is_deployed_changed_and_destroyed() {
    let project = hello();
    let mut variables = String::new();
    for number in 0..500 {
        write!(variables, "SETTING_{number:03} = \"{}\", ", "x".repeat(70)).unwrap();
    }
    project.edit(
        "deployer.toml",
        "[services.hello]\n",
        &format!("[services.hello]\nenvironment = {{ {variables} MODE = \"first\" }}\n"),
    );
    let template: serde_json::Value = serde_json::from_str(&project.run(&["synth", "hello"]).out).unwrap();
    let bytes = template.to_string().len();
    assert!(bytes > 51_200, "the template has {bytes} bytes only");

    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    assert_eq!(curl(&[&project.url()]), "hello");
    let name = "deployer-templates-000000000000-us-east-1";
    assert!(get(&project, "/").contains(name), "the template was uploaded");
    let left = get(&project, &format!("/{name}?list-type=2"));
    assert!(left.contains("<KeyCount>0</KeyCount>"), "a template stayed: {left}");
    let access = get(&project, &format!("/{name}?publicAccessBlock"));
    assert_eq!(access.matches(">true<").count(), 4, "{access}");
    assert!(get(&project, &format!("/{name}?lifecycle")).contains("<Days>3</Days>"));

    assert_eq!(project.run(&["validate", "--online"]).code, 0);
    project.edit("deployer.toml", "MODE = \"first\"", "MODE = \"second\"");
    let diff = project.result(&["diff"]).to_string();
    assert!(diff.contains("first") && diff.contains("second"), "{diff}");
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    assert!(project.run(&["diff", "--exit-code"]).code == 0, "everything is applied");

    let plan = project.result(&["destroy", "--dry-run"]);
    let orphans = plan["orphans"].as_array().unwrap();
    assert!(
        orphans
            .iter()
            .any(|one| one["kind"] == "template_bucket" && one["name"] == name),
        "{plan}"
    );
    assert_eq!(project.run(&["destroy", "--yes", "--keep-endpoint"]).code, 0);
    assert!(!get(&project, "/").contains("<Name>"), "the bucket stayed");
    assert!(!project.state().join("s3").join(name).exists());
    assert_eq!(project.run(&["endpoint", "stop"]).code, 0);
}
