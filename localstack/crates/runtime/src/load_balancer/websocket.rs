//! The WebSocket protocol: after the handshake, bytes in both directions until one side closes or nothing moves for the idle timeout.

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use super::activity::Activity;
use super::session::Session;
use super::target::InFlight;

/// Returns true for the handshake of RFC 6455, 4.1.
pub fn is_requested<B>(request: &Request<B>) -> bool {
    let has = |name, token: &str| {
        let values = request.headers().get_all(name).iter();
        let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
        tokens.any(|one| one.eq_ignore_ascii_case(token.as_bytes()))
    };
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
}

/// Sets the headers of the handshake, which are of one connection only and so were removed.
pub fn set_headers(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Copies bytes in both directions. Ends with either side, the idle timeout, the listener, or the target's deregistration.
pub async fn relay(
    session: Arc<Session>,
    client: OnUpgrade,
    target: OnUpgrade,
    in_flight: InFlight,
    idle_timeout: Duration,
) {
    let (client, target) = match tokio::try_join!(client, target) {
        Ok((client, target)) => (TokioIo::new(client), TokioIo::new(target)),
        Err(error) => return tracing::debug!(%error, "a WebSocket was not established"),
    };
    let activity = Activity::default();
    let (client_read, client_write) = split(client);
    let (target_read, target_write) = split(target);
    let both = async {
        tokio::join!(
            copy(client_read, target_write, &activity),
            copy(target_read, client_write, &activity)
        )
    };
    tokio::select! {
        _ = both => {}
        () = activity.idle(idle_timeout) => {}
        () = session.stop.cancelled() => {}
        () = in_flight.target_removed() => {}
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, activity: &Activity) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        activity.touch();
        if to.write_all(&bytes[..count]).await.is_err() || to.flush().await.is_err() {
            break;
        }
        activity.touch();
    }
    let _ = to.shutdown().await;
}
