//! A secret in Secrets Manager: the login of a database, which RDS rotates.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::{Credentials, IamArgs, Scope, Source};

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum size of a response, in bytes; a secret has at most 64 KiB.
const MAX_BYTES: usize = 256 * 1024;

/// A secret, and the identity that may read it.
pub(crate) struct Secret {
    arn: String,
    region: String,
    endpoint: Uri,
    source: Source,
}

/// The keys of a secret that RDS manages (Amazon RDS User Guide, "Password management with Amazon RDS and AWS Secrets
/// Manager").
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: SecretString,
}

#[derive(Deserialize)]
struct Keys {
    username: Option<String>,
    password: String,
}

/// Reason for which a secret cannot be read; it never quotes the secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("DATABASE_SECRET_ARN `{0}` is not the ARN of a secret: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME")]
    Arn(String),
    #[error("`{0}` is not the URL of Secrets Manager; check AWS_ENDPOINT_URL_SECRETS_MANAGER and AWS_ENDPOINT_URL")]
    Endpoint(String),
    #[error("no credentials: {0:#}")]
    Credentials(anyhow::Error),
    #[error("{endpoint} is unreachable: {reason:#}")]
    Unreachable { endpoint: String, reason: anyhow::Error },
    #[error("{endpoint} did not respond within 3 s")]
    Timeout { endpoint: String },
    #[error(
        "{endpoint} rejected the request with {status} {kind}; the task role needs secretsmanager:GetSecretValue on {arn}"
    )]
    Rejected {
        endpoint: String,
        arn: String,
        status: StatusCode,
        kind: String,
    },
    #[error("{arn} has no JSON object with `password`")]
    Content { arn: String },
}

impl SecretError {
    /// Returns whether another reading would fail too, so that a new process with the new secret is the only way on.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Rejected { status, kind, .. } => status.is_client_error() && !kind.contains("Throttling"),
            Self::Content { .. } => true,
            _ => false,
        }
    }
}

/// The response of `GetSecretValue`, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    secret_string: String,
}

/// An error of Secrets Manager.
#[derive(Default, Deserialize)]
struct Rejection {
    #[serde(rename = "__type", default)]
    kind: String,
}

impl Secret {
    /// Reads the region from the ARN, and selects the endpoint and the credentials.
    ///
    /// # Errors
    /// If the ARN or a URL is malformed, or there are no credentials.
    pub(crate) fn new(arn: &str, args: &IamArgs) -> Result<Self, SecretError> {
        let region = match arn.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "secretsmanager", region, _, "secret", ..] if !region.is_empty() => region.to_owned(),
            _ => return Err(SecretError::Arn(arn.to_owned())),
        };
        let configured = args.secrets_manager_url.as_ref().or(args.endpoint_url.as_ref());
        let url = configured.map_or_else(
            || format!("https://secretsmanager.{region}.amazonaws.com"),
            Clone::clone,
        );
        let endpoint = url
            .parse::<Uri>()
            .ok()
            .filter(|uri| uri.scheme().is_some() && uri.host().is_some());
        Ok(Self {
            arn: arn.to_owned(),
            region,
            endpoint: endpoint.ok_or(SecretError::Endpoint(url))?,
            source: Source::from_args(args).map_err(SecretError::Credentials)?,
        })
    }

    /// Reads the current value.
    ///
    /// # Errors
    /// If there are no credentials, or Secrets Manager does not return a login.
    pub(crate) async fn read(&self) -> Result<Login, SecretError> {
        let endpoint = self.endpoint.to_string();
        let reading = timeout(TIMEOUT, self.request());
        reading.await.unwrap_or(Err(SecretError::Timeout { endpoint }))
    }

    async fn request(&self) -> Result<Login, SecretError> {
        let credentials = self.source.fetch().await.map_err(SecretError::Credentials)?;
        let unreachable = |reason: anyhow::Error| SecretError::Unreachable {
            endpoint: self.endpoint.to_string(),
            reason,
        };
        let body = serde_json::json!({ "SecretId": self.arn }).to_string();
        let request = self
            .signed(&credentials, &body)
            .map_err(|error| unreachable(error.into()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let connector = connector.map_err(|error| unreachable(error.into()))?;
        // http:// only where a configured URL has it.
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
        let response = client
            .request(request)
            .await
            .map_err(|error| unreachable(error.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| unreachable(anyhow::anyhow!(error)))?.to_bytes();
        if status != StatusCode::OK {
            let rejection: Rejection = serde_json::from_slice(&body).unwrap_or_default();
            return Err(SecretError::Rejected {
                endpoint: self.endpoint.to_string(),
                arn: self.arn.clone(),
                status,
                kind: rejection.kind,
            });
        }
        self.login(&body)
    }

    /// Returns a request for `GetSecretValue` (AWS Secrets Manager API Reference).
    fn signed(&self, credentials: &Credentials, body: &str) -> http::Result<Request<Full<Bytes>>> {
        let authority = self.endpoint.authority().map_or("", |authority| authority.as_str());
        let scope = Scope::new(&self.region, "secretsmanager", OffsetDateTime::now_utc());
        let session = credentials.session.as_ref().map(ExposeSecret::expose_secret);
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.1"),
            ("host", authority),
            ("x-amz-date", scope.timestamp()),
        ];
        headers.extend(session.map(|token| ("x-amz-security-token", token)));
        headers.push(("x-amz-target", "secretsmanager.GetSecretValue"));
        let authorization = scope.authorization(credentials, &headers, body);
        let uri = Uri::builder()
            .scheme(self.endpoint.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query("/")
            .build()?;
        let request = Request::post(uri).header(http::header::AUTHORIZATION, authorization);
        let request = headers
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value));
        request.body(Full::from(body.to_owned()))
    }

    /// Parses the response; the parser's error is dropped, because it may quote the secret.
    fn login(&self, body: &[u8]) -> Result<Login, SecretError> {
        let value = serde_json::from_slice::<Value>(body).ok();
        let keys = value.and_then(|value| serde_json::from_str::<Keys>(&value.secret_string).ok());
        let keys = keys.ok_or_else(|| SecretError::Content { arn: self.arn.clone() })?;
        Ok(Login {
            username: keys.username,
            password: keys.password.into(),
        })
    }
}
