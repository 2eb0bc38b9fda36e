//! A secret in Secrets Manager: the login of a database, which RDS rotates.

use std::time::Duration;

use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Api, ApiError, IamArgs, Source};

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A secret, and the identity that may read it.
pub(crate) struct Secret {
    arn: String,
    api: Api,
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
        let source = Source::from_args(args).map_err(SecretError::Credentials)?;
        let api = Api::new("secretsmanager", &region, &url, source).map_err(|reason| SecretError::Unreachable {
            endpoint: url.clone(),
            reason,
        })?;
        Ok(Self {
            arn: arn.to_owned(),
            api: api.ok_or(SecretError::Endpoint(url))?,
        })
    }

    /// Reads the current value.
    ///
    /// # Errors
    /// If there are no credentials, or Secrets Manager does not return a login.
    pub(crate) async fn read(&self) -> Result<Login, SecretError> {
        let endpoint = self.api.endpoint();
        let reading = timeout(TIMEOUT, self.request());
        reading.await.unwrap_or(Err(SecretError::Timeout { endpoint }))
    }

    /// Requests `GetSecretValue` (AWS Secrets Manager API Reference).
    async fn request(&self) -> Result<Login, SecretError> {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "secretsmanager.GetSecretValue"),
        ];
        let body = serde_json::json!({ "SecretId": self.arn }).to_string();
        let response = self.api.post("/", &headers, body).await.map_err(|error| match error {
            ApiError::Credentials(reason) => SecretError::Credentials(reason),
            ApiError::Unreachable(reason) => SecretError::Unreachable {
                endpoint: self.api.endpoint(),
                reason,
            },
        })?;
        if response.status() != StatusCode::OK {
            let rejection: Rejection = serde_json::from_slice(response.body()).unwrap_or_default();
            return Err(SecretError::Rejected {
                endpoint: self.api.endpoint(),
                arn: self.arn.clone(),
                status: response.status(),
                kind: rejection.kind,
            });
        }
        self.login(response.body())
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
