//! Credentials of a registry, from the environment or from `docker login`.
//!
//! By hand and not by `docker_credential`: that crate asks the credentials store of a registry without a login and reports its
//! failure as an error, and does not name a helper that is missing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A user name and a password, such as those of ECR's `GetAuthorizationToken`. It has no Debug.
#[derive(Clone)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// Reads `USER:PASSWORD` in Base64, the form of registries and Docker.
    pub fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }
}

/// Credentials that exist and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// One of the two variables is not set.
    #[error("set both {USERNAME} and {PASSWORD}, or none: one of them is not set")]
    Incomplete,
    /// Docker's configuration is not valid.
    #[error("{} is not a configuration of Docker: {source}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
    /// The login in Docker's configuration is not Base64 of `USER:PASSWORD`.
    #[error("the login for {0} in Docker's configuration cannot be read; log in again")]
    Login(String),
    /// The credential helper cannot be run.
    #[error("Docker's configuration stores the login for {registry} in {program}, which cannot be run: {source}")]
    Helper {
        /// The registry.
        registry: String,
        /// The helper.
        program: String,
        /// The reason.
        source: io::Error,
    },
    /// The credential helper has no login.
    #[error("{program} has no login for {registry}: `docker login {registry}`")]
    NoLogin {
        /// The registry.
        registry: String,
        /// The helper.
        program: String,
    },
    /// The response of the credential helper is not valid.
    #[error("the response of {program} cannot be read: {source}")]
    Response {
        /// The helper.
        program: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// The credential helper has an identity token in place of a password.
    #[error("{program} has an identity token for {registry}; set {USERNAME} and {PASSWORD} instead")]
    IdentityToken {
        /// The registry.
        registry: String,
        /// The helper.
        program: String,
    },
}

const USERNAME: &str = "DEPLOYER_REGISTRY_USERNAME";
const PASSWORD: &str = "DEPLOYER_REGISTRY_PASSWORD";
/// Docker Hub's name in Docker's configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// Returns the credentials of a registry; `None` without a login, with which some registries accept a push.
///
/// # Errors
/// The credentials exist and cannot be read.
pub async fn credentials(registry: &str) -> Result<Option<Credentials>, CredentialsError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable(USERNAME), variable(PASSWORD)) {
        (Some(username), Some(password)) => return Ok(Some(Credentials { username, password })),
        (None, None) => {}
        _ => return Err(CredentialsError::Incomplete),
    }
    let Some(path) = configuration() else { return Ok(None) };
    let Ok(text) = std::fs::read(&path) else {
        return Ok(None);
    };
    let config: DockerConfig =
        serde_json::from_slice(&text).map_err(|source| CredentialsError::Configuration { path, source })?;
    config.credentials(registry).await
}

fn configuration() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(Path::new(&std::env::var_os("HOME")?).join(".docker"));
    Some(folder.or_else(home)?.join("config.json"))
}

/// The part of Docker's `config.json` about registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: Map<String, Value>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

impl DockerConfig {
    async fn credentials(&self, registry: &str) -> Result<Option<Credentials>, CredentialsError> {
        let is_hub = matches!(registry, "docker.io" | "index.docker.io");
        let names = [registry.to_owned(), format!("https://{registry}")];
        for name in names.into_iter().chain(is_hub.then(|| HUB.to_owned())) {
            let entry = self.auths.get(&name);
            let login = entry.and_then(|entry| entry.get("auth")?.as_str());
            if let Some(text) = login.filter(|text| !text.is_empty()) {
                let credentials = Credentials::decode(text).ok_or(CredentialsError::Login(name))?;
                return Ok(Some(credentials));
            }
            let store = self.creds_store.as_ref().filter(|_| entry.is_some());
            if let Some(helper) = self.cred_helpers.get(&name).or(store) {
                return ask(helper, &name).await.map(Some);
            }
        }
        Ok(None)
    }
}

/// The response of `docker-credential-NAME get`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    username: String,
    secret: String,
}

/// Asks a credential helper.
async fn ask(helper: &str, registry: &str) -> Result<Credentials, CredentialsError> {
    let program = format!("docker-credential-{helper}");
    let registry = registry.to_owned();
    let failed = |source| CredentialsError::Helper {
        registry: registry.clone(),
        program: program.clone(),
        source,
    };
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that ended before it read anything reports the reason by its exit code.
        let _ = input.write_all(registry.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if !output.status.success() {
        return Err(CredentialsError::NoLogin { registry, program });
    }
    match serde_json::from_slice::<Response>(&output.stdout) {
        Err(source) => Err(CredentialsError::Response { program, source }),
        Ok(response) if response.username == "<token>" => Err(CredentialsError::IdentityToken { registry, program }),
        Ok(response) => Ok(Credentials {
            username: response.username,
            password: response.secret,
        }),
    }
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
    async fn a_credential_helper_that_is_not_installed_is_named() {
        let text = r#"{"credHelpers":{"registry.example.org":"nowhere"}}"#;
        let config: DockerConfig = serde_json::from_str(text).unwrap();
        let error = config.credentials("registry.example.org").await.err().unwrap();
        let CredentialsError::Helper { program, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(program, "docker-credential-nowhere");
    }

    #[tokio::test]
    async fn a_store_is_not_asked_for_a_registry_without_a_login() {
        let config: DockerConfig = serde_json::from_str(r#"{"credsStore":"nowhere"}"#).unwrap();
        assert!(config.credentials("registry.example.org").await.unwrap().is_none());
    }
}
