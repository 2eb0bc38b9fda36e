//! A fake of Secrets Manager with one secret.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use kit::IamArgs;
use parking_lot::Mutex;
use serde_json::{Value, json};

pub const ARN: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:rds!db-1-AbCdEf";
pub const KEY_ID: &str = "AKIATEST";

#[derive(Clone, Default)]
struct Secret {
    password: Arc<Mutex<String>>,
    reads: Arc<AtomicUsize>,
}

pub struct SecretsManager {
    address: String,
    secret: Secret,
}

impl SecretsManager {
    pub async fn start(password: &str) -> Self {
        let secret = Secret::default();
        password.clone_into(&mut secret.password.lock());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let router = Router::new().route("/", post(read)).with_state(secret.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, secret }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns an identity that may read the secret.
    pub fn identity(&self) -> IamArgs {
        IamArgs {
            access_key_id: Some(KEY_ID.into()),
            secret_access_key: Some("secret".into()),
            endpoint_url: Some(self.url()),
            ..IamArgs::default()
        }
    }

    pub fn set(&self, password: &str) {
        password.clone_into(&mut self.secret.password.lock());
    }

    pub fn reads(&self) -> usize {
        self.secret.reads.load(Ordering::SeqCst)
    }
}

/// Responds to `GetSecretValue` if the request is signed for this service in this region.
async fn read(State(secret): State<Secret>, headers: HeaderMap, body: Bytes) -> Response {
    // Not axum's `Json`, which rejects the content type of AWS's JSON protocol.
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let signed = header("authorization");
    let is_signed = signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/"))
        && signed.contains("/eu-central-1/secretsmanager/aws4_request, SignedHeaders=content-type;host;x-amz-date;")
        && header("x-amz-target") == "secretsmanager.GetSecretValue"
        && body["SecretId"] == ARN;
    if !is_signed {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"__type": "AccessDeniedException"})),
        )
            .into_response();
    }
    secret.reads.fetch_add(1, Ordering::SeqCst);
    let login = json!({"username": "billing_owner", "password": *secret.password.lock()});
    let kind = [("content-type", "application/x-amz-json-1.1")];
    (kind, json!({"ARN": ARN, "SecretString": login.to_string()}).to_string()).into_response()
}
