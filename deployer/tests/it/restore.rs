//! A database that is restored after `destroy`, with what its service encrypted in it.

use serde_json::{Value, json};

use crate::support::{Project, curl, repository};

/// auth-service alone, which encrypts its signing keys with a generated secret.
fn users() -> Project {
    let project = Project::new();
    let manifest = format!(
        r#"[project]
name = "users"
workspace = "{}"

[ingress]
service = "auth-service"
port = {}

[databases.auth]

[services.auth-service]
ports = {{ http = 4005 }}
health_path = "/health/ready"
health_command = ["health"]
database = "auth"
environment = {{ AUTH_ADMIN_EMAIL = "admin@example.org" }}
secrets = ["AUTH_KEY_ENCRYPTION_KEY", "AUTH_ADMIN_PASSWORD"]

[environments.dev]
protected = true
"#,
        repository().display(),
        project.ingress
    );
    std::fs::write(project.manifest(), manifest).unwrap();
    project
}

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_service_restored_from_the_final_snapshot_and_the_retained_secrets_knows_its_users_and_keys() {
    let project = users();
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    let arn = |variable: &str| {
        let output = format!("AuthService{variable}SecretArn");
        project.run(&["outputs", &output]).out.trim().to_owned()
    };
    let (key, password) = (arn("AuthKeyEncryptionKey"), arn("AuthAdminPassword"));
    let before = Seen::of(&project, &password);
    assert_eq!(before.login, "200");

    let destroyed = project.json(&["destroy", "--disable-protection", "--confirm", "users-dev"]);
    assert_eq!(destroyed.code, 0);
    let result = destroyed.result();
    let retained = result["retained"].as_array().unwrap();
    for secret in [&key, &password] {
        let names_it = |one: &Value| secret.contains(one["name"].as_str().unwrap());
        assert!(retained.iter().any(names_it), "{secret} is listed: {result}");
    }
    let kept = embedded_endpoint::service::rds::retained_snapshots(&project.state());
    let [snapshot] = kept.as_slice() else {
        panic!("one database, one final snapshot: {kept:?}")
    };

    // As docs/operations.md says
    project.edit(
        "deployer.toml",
        "[databases.auth]",
        &format!("[databases.auth]\nsnapshot = \"{snapshot}\""),
    );
    let secrets = format!(
        "secrets = [{{ name = \"AUTH_KEY_ENCRYPTION_KEY\", arn = \"{key}\" }}, {{ name = \"AUTH_ADMIN_PASSWORD\", arn = \"{password}\" }}]"
    );
    project.edit(
        "deployer.toml",
        "secrets = [\"AUTH_KEY_ENCRYPTION_KEY\", \"AUTH_ADMIN_PASSWORD\"]",
        &secrets,
    );
    assert_eq!(project.run(&["up", "--yes"]).code, 0, "the service opens its keys");
    assert_eq!(Seen::of(&project, &password), before);

    let destroyed = project.run(&["destroy", "--disable-protection", "--confirm", "users-dev"]);
    assert_eq!(destroyed.code, 0);
}

/// Signs of the same service: its keys, and that its administrator can log in.
#[derive(Debug, PartialEq)]
struct Seen {
    keys: Value,
    login: String,
}

impl Seen {
    fn of(project: &Project, password: &str) -> Self {
        let url = project.url();
        let keys = curl(&[&format!("{url}/.well-known/jwks.json")]);
        let secret = project.call("secretsmanager.GetSecretValue", &json!({ "SecretId": password }));
        let credentials = json!({ "email": "admin@example.org", "password": secret["SecretString"] });
        let login = curl(&[
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "content-type: application/json",
            "-d",
            &credentials.to_string(),
            &format!("{url}/login"),
        ]);
        Self {
            keys: serde_json::from_str(&keys).unwrap(),
            login,
        }
    }
}
