//! Credentials of a task role: a document at an address that only the task can reach.

use std::net::IpAddr;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Request, Uri, header::AUTHORIZATION};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;

use super::IamArgs;

/// The endpoint of ECS for its tasks (Amazon ECS Developer Guide, "Task IAM role").
const ECS_ENDPOINT: &str = "http://169.254.170.2";
/// Hosts besides loopback that AWS SDKs contact without TLS (AWS SDKs and Tools Reference Guide, "Container credential
/// provider"): ECS, and EKS over IPv4 and IPv6.
const PROVIDERS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// Maximum size of the document, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// An access key of IAM.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: SecretString,
    pub(crate) session: Option<SecretString>,
    pub(crate) expires: Option<OffsetDateTime>,
}

impl Credentials {
    pub(crate) fn valid_at(&self, moment: OffsetDateTime) -> bool {
        self.expires.is_none_or(|expires| expires > moment)
    }
}

/// The source of credentials.
pub(crate) enum Source {
    Fixed(Credentials),
    Container(Container),
}

/// A container credential provider.
pub(crate) struct Container {
    uri: Uri,
    authorization: Option<SecretString>,
}

/// The provider's document.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expiration: Option<OffsetDateTime>,
}

impl Source {
    /// Returns the credentials; those of a task role are fetched.
    ///
    /// # Errors
    /// If the provider is unreachable, or its response has no credentials.
    pub(crate) async fn fetch(&self) -> anyhow::Result<Credentials> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Container(container) => container.fetch().await,
        }
    }

    /// Selects the access key if there is one, otherwise the task role, in the order of the SDKs.
    ///
    /// # Errors
    /// If there is neither.
    pub(crate) fn from_args(args: &IamArgs) -> anyhow::Result<Self> {
        if let (Some(key_id), Some(secret)) = (&args.access_key_id, &args.secret_access_key) {
            return Ok(Self::Fixed(Credentials {
                key_id: key_id.clone(),
                secret: secret.clone(),
                session: args.session_token.clone(),
                expires: None,
            }));
        }
        let relative = args.relative_uri.as_ref().map(|path| format!("{ECS_ENDPOINT}{path}"));
        let Some(address) = relative.or_else(|| args.full_uri.clone()) else {
            bail!(
                "there are no AWS credentials: set a task role in the task definition (ECS then sets \
                 AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            );
        };
        Ok(Self::Container(Container::new(&address, args.authorization.clone())?))
    }
}

impl Container {
    fn new(address: &str, authorization: Option<SecretString>) -> anyhow::Result<Self> {
        let uri: Uri = address
            .parse()
            .context("the address of the task's credentials is not a URL")?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_local = |address: IpAddr| address.is_loopback() || PROVIDERS.contains(&host);
        ensure!(
            uri.scheme_str() == Some("http") && (host == "localhost" || host.parse().is_ok_and(is_local)),
            "the address of the task's credentials ({uri}) must be http:// on loopback, or that of ECS or EKS, so that \
             the credentials do not leave the machine"
        );
        Ok(Self { uri, authorization })
    }

    /// Fetches the credentials.
    ///
    /// # Errors
    /// If the provider is unreachable, or its response has no credentials.
    pub(crate) async fn fetch(&self) -> anyhow::Result<Credentials> {
        let Self { uri, authorization } = self;
        let mut request = Request::get(uri.clone());
        if let Some(token) = authorization {
            request = request.header(AUTHORIZATION, token.expose_secret());
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let response = client.request(request.body(Empty::new())?).await;
        let response = response.with_context(|| format!("{uri} is unreachable"))?;
        ensure!(response.status() == 200, "{uri} responded with {}", response.status());
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body
            .map_err(|error| anyhow::anyhow!("{uri} closed the connection: {error}"))?
            .to_bytes();
        // The parser's error is dropped: it may quote the secret.
        let document: Document =
            serde_json::from_slice(&body).map_err(|_| anyhow::anyhow!("{uri} did not return credentials"))?;
        Ok(Credentials {
            key_id: document.access_key_id,
            secret: document.secret_access_key.into(),
            session: document.token.map(Into::into),
            expires: document.expiration,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::HeaderMap, routing::get};

    #[test]
    fn credentials_are_fetched_from_this_machine_only() {
        let accepted = |address: &str| Container::new(address, None).is_ok();
        for address in [
            "http://169.254.170.2/v2/credentials/1",
            "http://127.0.0.1:4566/a",
            "http://[::1]:4566/a",
            "http://localhost/a",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert!(accepted(address), "{address}");
        }
        for address in [
            "http://169.254.169.254/a",
            "http://10.0.0.1/a",
            "http://example.org/a",
            "http://127.0.0.1.example.org/a",
            "https://127.0.0.1/a",
            "nonsense",
        ] {
            assert!(!accepted(address), "{address}");
        }
    }

    #[tokio::test]
    async fn the_document_of_a_task_role_is_fetched_with_the_authorization_header() {
        let document = r#"{"RoleArn":"arn:aws:iam::1:role/r","AccessKeyId":"ASIA1","SecretAccessKey":"hush",
            "Token":"session","Expiration":"2026-01-02T03:04:05Z"}"#;
        let respond = move |headers: HeaderMap| async move {
            if headers.get("authorization").is_some_and(|value| value == "let me in") {
                (http::StatusCode::OK, document)
            } else {
                (http::StatusCode::FORBIDDEN, "")
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/v2/credentials/1", listener.local_addr().expect("an address"));
        let router = Router::new().route("/v2/credentials/1", get(respond));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });

        let container = Container::new(&address, Some("let me in".into())).expect("an address");
        let found = container.fetch().await.expect("credentials");
        assert_eq!(found.key_id, "ASIA1");
        assert_eq!(found.secret.expose_secret(), "hush");
        assert_eq!(found.session.expect("a session").expose_secret(), "session");
        assert_eq!(found.expires.expect("an end").unix_timestamp(), 1_767_323_045);

        let unauthorized = Container::new(&address, None).expect("an address");
        let rejected = unauthorized.fetch().await.err().expect("an error");
        assert!(
            rejected.to_string().ends_with("responded with 403 Forbidden"),
            "{rejected}"
        );
        server.abort();
    }
}
