//! The credentials of a task's role, served as ECS serves them.

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
    asked: Arc<AtomicUsize>,
}

impl Role {
    pub async fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let answer = move |Path(secret): Path<String>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let expiration = (OffsetDateTime::now_utc() + Duration::hours(6)).format(&Rfc3339);
            let expiration = expiration.expect("a time");
            std::future::ready(Json(json!({
                "AccessKeyId": KEY_ID, "SecretAccessKey": secret, "Token": SESSION, "Expiration": expiration,
            })))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let router = Router::new().route("/role/{secret}", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// Where a task finds a role with this secret.
    pub fn of(&self, secret: &str) -> String {
        format!("http://{}/role/{secret}", self.address)
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
