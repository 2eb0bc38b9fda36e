//! Request bodies: read whole, within a limit of size and time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use kit::Problem;
use tokio::time::timeout;

/// The largest body that is sent on.
pub const LIMIT: usize = 1 << 20;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an oversized body is read and dropped, so that the client sees the answer rather than a reset.
const DRAIN: usize = 8 << 20;
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// The whole body; 413 when it is too large, 408 when it is too slow.
///
/// Reading it first means that a service is never held up by a slow client, and that a request can be sent twice.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut stream = body.into_data_stream();
    if announced.is_some_and(|length| length > LIMIT as u64) {
        // Who asked whether to go on, and is told no, sends nothing.
        if !headers.contains_key(header::EXPECT) {
            drain(stream, 0).await;
        }
        return Err(Problem::too_large());
    }
    match timeout(PATIENCE, collect(&mut stream)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Fault::TooLarge)) => {
            drain(stream, LIMIT).await;
            Err(Problem::too_large())
        }
        Ok(Err(Fault::Broken)) => Err(Problem::bad_request("The request body ended early")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "The request body took too long to arrive",
        )),
    }
}

enum Fault {
    TooLarge,
    Broken,
}

async fn collect(stream: &mut BodyDataStream) -> Result<Bytes, Fault> {
    let Some(first) = stream.next().await else {
        return Ok(Bytes::new());
    };
    let mut whole = BytesMut::from(first.map_err(|_| Fault::Broken)?);
    while let Some(next) = stream.next().await {
        let next = next.map_err(|_| Fault::Broken)?;
        if whole.len() + next.len() > LIMIT {
            return Err(Fault::TooLarge);
        }
        whole.extend_from_slice(&next);
    }
    if whole.len() > LIMIT {
        Err(Fault::TooLarge)
    } else {
        Ok(whole.freeze())
    }
}

async fn drain(mut stream: BodyDataStream, mut read: usize) {
    let rest = async {
        while let Some(Ok(part)) = stream.next().await {
            read += part.len();
            if read > DRAIN {
                break;
            }
        }
    };
    // Whatever comes of it, the answer is the same.
    let _ = timeout(DRAIN_PATIENCE, rest).await;
}
