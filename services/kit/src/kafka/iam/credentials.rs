//! Credentials as ECS gives them to a task: a document at an address that only the task reaches.

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

/// Where ECS answers its tasks (Amazon ECS Developer Guide, "Task IAM role").
const ECS: &str = "http://169.254.170.2";
/// Those that AWS' own SDKs ask without TLS beside loopback (AWS SDKs and Tools Reference Guide, "Container credential
/// provider"): ECS, and EKS in both families.
const PROVIDERS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// The largest document that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// A key of IAM.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) key_id: String,
    pub(super) secret: SecretString,
    pub(super) session: Option<SecretString>,
    pub(super) expires: Option<OffsetDateTime>,
}

impl Credentials {
    pub(super) fn outlast(&self, moment: OffsetDateTime) -> bool {
        self.expires.is_none_or(|expires| expires > moment)
    }
}

/// Where credentials come from.
pub(super) enum Source {
    Fixed(Credentials),
    Container(Container),
}

/// The provider beside a container.
pub(super) struct Container {
    uri: Uri,
    authorization: Option<SecretString>,
}

/// The document, as the provider writes it.
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
    /// An access key before the task's role, as the SDKs have it.
    pub(super) fn choose(args: &IamArgs) -> anyhow::Result<Self> {
        if let (Some(key_id), Some(secret)) = (&args.access_key_id, &args.secret_access_key) {
            return Ok(Self::Fixed(Credentials {
                key_id: key_id.clone(),
                secret: secret.clone(),
                session: args.session_token.clone(),
                expires: None,
            }));
        }
        let relative = args.relative_uri.as_ref().map(|path| format!("{ECS}{path}"));
        let Some(address) = relative.or_else(|| args.full_uri.clone()) else {
            bail!(
                "KAFKA_SECURITY=msk-iam needs credentials: give the task definition a task role (ECS then sets \
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
            .context("the address of the task's credentials is no URL")?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let stays = |address: IpAddr| address.is_loopback() || PROVIDERS.contains(&host);
        ensure!(
            uri.scheme_str() == Some("http") && (host == "localhost" || host.parse().is_ok_and(stays)),
            "the address of the task's credentials ({uri}) must be http:// on loopback, or the one of ECS or EKS: \
             what it gives never leaves the machine"
        );
        Ok(Self { uri, authorization })
    }

    pub(super) async fn fetch(&self) -> anyhow::Result<Credentials> {
        let Self { uri, authorization } = self;
        let mut request = Request::get(uri.clone());
        if let Some(token) = authorization {
            request = request.header(AUTHORIZATION, token.expose_secret());
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let answer = client.request(request.body(Empty::new())?).await;
        let answer = answer.with_context(|| format!("{uri} does not answer"))?;
        ensure!(answer.status() == 200, "{uri} answered {}", answer.status());
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body
            .map_err(|error| anyhow::anyhow!("{uri} broke off: {error}"))?
            .to_bytes();
        // The parser's own words may quote the secret.
        let document: Document =
            serde_json::from_slice(&body).map_err(|_| anyhow::anyhow!("{uri} gave no credentials"))?;
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
    fn credentials_are_asked_for_on_this_machine_only() {
        let taken = |address: &str| Container::new(address, None).is_ok();
        for address in [
            "http://169.254.170.2/v2/credentials/1",
            "http://127.0.0.1:4566/a",
            "http://[::1]:4566/a",
            "http://localhost/a",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert!(taken(address), "{address}");
        }
        for address in [
            "http://169.254.169.254/a",
            "http://10.0.0.1/a",
            "http://example.org/a",
            "http://127.0.0.1.example.org/a",
            "https://127.0.0.1/a",
            "nonsense",
        ] {
            assert!(!taken(address), "{address}");
        }
    }

    #[tokio::test]
    async fn the_document_of_a_tasks_role_is_read_with_the_authorization_that_was_given() {
        let document = r#"{"RoleArn":"arn:aws:iam::1:role/r","AccessKeyId":"ASIA1","SecretAccessKey":"hush",
            "Token":"session","Expiration":"2026-01-02T03:04:05Z"}"#;
        let answer = move |headers: HeaderMap| async move {
            match headers.get("authorization").is_some_and(|value| value == "let me in") {
                true => (http::StatusCode::OK, document),
                false => (http::StatusCode::FORBIDDEN, ""),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/v2/credentials/1", listener.local_addr().expect("an address"));
        let router = Router::new().route("/v2/credentials/1", get(answer));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });

        let container = Container::new(&address, Some("let me in".into())).expect("an address");
        let found = container.fetch().await.expect("credentials");
        assert_eq!(found.key_id, "ASIA1");
        assert_eq!(found.secret.expose_secret(), "hush");
        assert_eq!(found.session.expect("a session").expose_secret(), "session");
        assert_eq!(found.expires.expect("an end").unix_timestamp(), 1_767_323_045);

        let stranger = Container::new(&address, None).expect("an address");
        let refused = stranger.fetch().await.err().expect("an error");
        assert!(refused.to_string().ends_with("answered 403 Forbidden"), "{refused}");
        server.abort();
    }
}
