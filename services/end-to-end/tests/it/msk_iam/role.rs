//! A fake of the ECS endpoint with the credentials of a task role.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

pub const KEY_ID: &str = "ASIAROLE";
pub const SESSION: &str = "session+of/a=role";

pub struct Role {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Role {
    pub async fn start() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let respond = move |Path(secret): Path<String>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let expiration = (OffsetDateTime::now_utc() + Duration::hours(6)).format(&Rfc3339);
            let expiration = expiration.expect("a time");
            std::future::ready(Json(json!({
                "AccessKeyId": KEY_ID, "SecretAccessKey": secret, "Token": SESSION, "Expiration": expiration,
            })))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let router = Router::new().route("/role/{secret}", get(respond));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, requests }
    }

    /// Returns the URI of a role's credentials with this secret.
    pub fn uri(&self, secret: &str) -> String {
        format!("http://{}/role/{secret}", self.address)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}
