//! Who we are for a registry: from the environment, or from what `docker login` has kept.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A user name and a password, such as ECR's GetAuthorizationToken gives. It has no Debug.
#[derive(Clone)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

impl Credentials {
    /// From `USER:PASSWORD` in Base64, as registries and Docker write them.
    pub fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }
}

const USERNAME: &str = "DEPLOYER_REGISTRY_USERNAME";
const PASSWORD: &str = "DEPLOYER_REGISTRY_PASSWORD";
/// Docker Hub's name in Docker's configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// The credentials for a registry; none where nobody has logged in, which is enough for a registry that lets anybody write.
pub async fn credentials(registry: &str) -> anyhow::Result<Option<Credentials>> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable(USERNAME), variable(PASSWORD)) {
        (Some(username), Some(password)) => return Ok(Some(Credentials { username, password })),
        (None, None) => {}
        _ => bail!("{USERNAME} and {PASSWORD} belong together: one of them is not set"),
    }
    let Some(file) = configuration() else { return Ok(None) };
    let Ok(text) = std::fs::read(&file) else {
        return Ok(None);
    };
    let config: DockerConfig = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what `docker login` writes", file.display()))?;
    config.credentials(registry).await
}

fn configuration() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(Path::new(&std::env::var_os("HOME")?).join(".docker"));
    Some(folder.or_else(home)?.join("config.json"))
}

/// The part of Docker's `config.json` that is about registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: serde_json::Map<String, Value>,
    creds_store: Option<String>,
    cred_helpers: std::collections::BTreeMap<String, String>,
}

impl DockerConfig {
    async fn credentials(&self, registry: &str) -> anyhow::Result<Option<Credentials>> {
        let hub = matches!(registry, "docker.io" | "index.docker.io");
        let names = [registry.to_owned(), format!("https://{registry}")];
        let names = names.into_iter().chain(hub.then(|| HUB.to_owned()));
        for name in names {
            let entry = self.auths.get(&name);
            if let Some(text) = entry
                .and_then(|entry| entry.get("auth")?.as_str())
                .filter(|t| !t.is_empty())
            {
                let found = Credentials::decode(text);
                return Ok(Some(found.with_context(|| {
                    format!("what `docker login` kept for {name} cannot be read; log in again")
                })?));
            }
            let store = self.creds_store.as_ref().filter(|_| entry.is_some());
            if let Some(helper) = self.cred_helpers.get(&name).or(store) {
                return helped(helper, &name).await.map(Some);
            }
        }
        Ok(None)
    }
}

/// What `docker-credential-NAME get` answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

async fn helped(helper: &str, registry: &str) -> anyhow::Result<Credentials> {
    let program = format!("docker-credential-{helper}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!("Docker's configuration keeps the login for {registry} in {program}, which does not run")
        })?;
    if let Some(mut input) = child.stdin.take() {
        // One that ended before it read anything says so by its exit code.
        let _ = input.write_all(registry.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("{program} has no login for {registry}: `docker login {registry}`");
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| anyhow::anyhow!("{program} gave an answer that cannot be read"))?;
    if answer.username == "<token>" {
        bail!("{program} has an identity token for {registry}; set {USERNAME} and {PASSWORD} instead");
    }
    Ok(Credentials {
        username: answer.username,
        password: answer.secret,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_docker_login_is_found_by_its_registry_and_by_no_other() {
        let text = format!(
            r#"{{"auths":{{"registry.example.org:5000":{{"auth":"{}"}}}}}}"#,
            STANDARD.encode("ada:se:cret")
        );
        let config: DockerConfig = serde_json::from_str(&text).unwrap();
        let found = config.credentials("registry.example.org:5000").await.unwrap().unwrap();
        assert_eq!((found.username.as_str(), found.password.as_str()), ("ada", "se:cret"));
        assert!(config.credentials("registry.example.org").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_credential_helper_that_is_not_there_is_named() {
        let text = r#"{"credHelpers":{"registry.example.org":"nowhere"}}"#;
        let config: DockerConfig = serde_json::from_str(text).unwrap();
        let error = config.credentials("registry.example.org").await.err().unwrap();
        assert!(error.to_string().contains("docker-credential-nowhere"), "{error}");
    }
}
