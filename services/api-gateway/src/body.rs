//! Request bodies: read completely, within limits of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use kit::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Maximum size of a request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Timeout for a client to send its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Memory for the bodies of all requests in flight; cheap to clone.
#[derive(Clone)]
pub struct BodyMemoryBudget(Arc<Semaphore>);

/// Part of the budget that one body occupies, released on drop; `None` for an empty body.
pub type BudgetPermit = Option<OwnedSemaphorePermit>;

impl BodyMemoryBudget {
    /// Returns a budget of this size, in KiB.
    pub fn new(kibibytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(kibibytes)))
    }

    /// Grows the permit to the size of a body of `bytes` bytes.
    fn grow(&self, permit: &mut BudgetPermit, bytes: usize) -> Result<(), ReadError> {
        let held = permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(1024).saturating_sub(held);
        // A semaphore has fewer permits than `u32` can count.
        let missing = u32::try_from(missing).map_err(|_| ReadError::BudgetExhausted)?;
        let missing = self
            .0
            .clone()
            .try_acquire_many_owned(missing)
            .map_err(|_| ReadError::BudgetExhausted)?;
        match permit {
            Some(permit) => permit.merge(missing),
            None => *permit = Some(missing),
        }
        Ok(())
    }
}

/// Reads the complete body, and returns it with its part of the budget.
///
/// The body is read before the request is sent on, so that a slow client never occupies a service, and so that a request
/// can be sent twice.
///
/// # Errors
/// 413 if the body is too large, 408 if it is too slow, 503 if the budget is exhausted, 400 if it ends early.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    budget: &BodyMemoryBudget,
) -> Result<(Bytes, BudgetPermit), Problem> {
    let content_length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if content_length.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(Problem::too_large());
    }
    match timeout(READ_TIMEOUT, collect(body.into_data_stream(), budget)).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(ReadError::TooLarge)) => Err(Problem::too_large()),
        Ok(Err(ReadError::BudgetExhausted)) => {
            tracing::warn!("the memory for request bodies is exhausted; raise MAX_BODY_MEMORY_MIB if this lasts");
            Err(Problem::unavailable(
                "Too many request bodies are in progress; try again in a moment",
            ))
        }
        Ok(Err(ReadError::Incomplete)) => Err(Problem::bad_request("The request body ended early")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "The request body took too long to arrive",
        )),
    }
}

#[derive(Debug)]
enum ReadError {
    TooLarge,
    BudgetExhausted,
    Incomplete,
}

async fn collect(mut stream: BodyDataStream, budget: &BodyMemoryBudget) -> Result<(Bytes, BudgetPermit), ReadError> {
    let (mut body, mut permit) = (BytesMut::new(), None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ReadError::Incomplete)?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(ReadError::TooLarge);
        }
        budget.grow(&mut permit, body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), permit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_occupy_the_budget_by_their_size_and_release_it() {
        let budget = BodyMemoryBudget::new(4);
        let read = async |bytes: usize| read(&HeaderMap::new(), Body::from(vec![b'x'; bytes]), &budget).await;
        let (first, permit) = read(3 * 1024).await.unwrap();
        assert_eq!((first.len(), budget.0.available_permits()), (3 * 1024, 1));
        assert_eq!(
            read(1025).await.err().unwrap().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(read(0).await.is_ok() && read(1024).await.is_ok());
        drop(permit);
        assert_eq!(budget.0.available_permits(), 4);

        // Many small chunks occupy no more than the complete body.
        let chunks = futures::stream::iter((0..1024).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x"))));
        let (_, permit) = super::read(&HeaderMap::new(), Body::from_stream(chunks), &budget)
            .await
            .unwrap();
        assert_eq!((budget.0.available_permits(), permit.is_some()), (3, true));
    }
}
