//! Amazon Simple Email Service (API v2): mail is kept in a mailbox that people and tests read.
//!
//! The mailbox is in memory: mail is personal data, so none of it is on disk, and none survives the endpoint.

mod mailbox;
mod mime;
mod send;
mod smtp;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::service::Call;
use crate::{AwsError, Context, Service};

pub use mailbox::{ROUTE, clear, list};

/// Returns the service, signing name `ses`.
pub fn service() -> Arc<dyn Service> {
    Arc::new(Ses)
}

/// Returns the address of the SMTP server: 127.x.4.1, port 1025.
pub fn smtp_address(cx: &Context) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, cx.config().loopback_octet, 4, 1), 1025))
}

struct Ses;

#[async_trait]
impl Service for Ses {
    fn name(&self) -> &'static str {
        "ses"
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "SendEmail" => send::send_email(cx, &call),
            "GetAccount" => Ok(json!({
                "ProductionAccessEnabled": true,
                "SendingEnabled": true,
                "EnforcementStatus": "HEALTHY",
                "SendQuota": {"Max24HourSend": 50_000.0, "MaxSendRate": 14.0, "SentLast24Hours": 0.0},
            })),
            other => Err(AwsError::not_implemented("ses", other)),
        }
    }

    /// Listens for SMTP. Without it the endpoint works, so an address in use is no error.
    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        if !cx.is_first_region() {
            return Ok(());
        }
        let address = smtp_address(cx);
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => {
                tokio::spawn(smtp::serve(cx.clone(), listener));
            }
            Err(error) => tracing::warn!(%address, %error, "no SMTP: cannot listen"),
        }
        Ok(())
    }
}
