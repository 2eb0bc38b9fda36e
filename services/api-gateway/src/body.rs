//! Request bodies: read whole, within a limit of size and time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use kit::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The largest body that is sent on.
pub const LIMIT: usize = 1 << 20;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an oversized body is read and dropped, so that the client sees the answer rather than a reset.
const DRAIN: usize = 8 << 20;
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Memory for the bodies of all requests that are under way; cheap to clone.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

/// What a body has of it, free again when this is dropped.
pub type Share = Option<OwnedSemaphorePermit>;

impl Room {
    /// So much, in KiB.
    pub fn new(kibibytes: usize) -> Room {
        Room(Arc::new(Semaphore::new(kibibytes)))
    }

    /// Makes the share as large as a body of so many bytes.
    fn widen(&self, share: &mut Share, bytes: usize) -> Result<(), Fault> {
        let has = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(1024).saturating_sub(has) as u32;
        let more = self.0.clone().try_acquire_many_owned(more).map_err(|_| Fault::NoRoom)?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

/// The whole body and the room that it has; 413 when it is too large, 408 when it is too slow, 503 when there is no room.
///
/// Reading it first means that a service is never held up by a slow client, and that a request can be sent twice.
pub async fn read(headers: &HeaderMap, body: Body, room: &Room) -> Result<(Bytes, Share), Problem> {
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
    match timeout(PATIENCE, collect(&mut stream, room)).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(Fault::TooLarge)) => {
            drain(stream, LIMIT).await;
            Err(Problem::too_large())
        }
        Ok(Err(Fault::NoRoom)) => {
            tracing::warn!("the bodies of the requests under way take all the room there is for them");
            Err(Problem::unavailable("Too much is being sent; try again in a moment"))
        }
        Ok(Err(Fault::Broken)) => Err(Problem::bad_request("The request body ended early")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "The request body took too long to arrive",
        )),
    }
}

#[derive(Debug)]
enum Fault {
    TooLarge,
    NoRoom,
    Broken,
}

async fn collect(stream: &mut BodyDataStream, room: &Room) -> Result<(Bytes, Share), Fault> {
    let (mut whole, mut share) = (BytesMut::new(), None);
    while let Some(next) = stream.next().await {
        let next = next.map_err(|_| Fault::Broken)?;
        if whole.len() + next.len() > LIMIT {
            return Err(Fault::TooLarge);
        }
        room.widen(&mut share, whole.len() + next.len())?;
        whole.extend_from_slice(&next);
    }
    Ok((whole.freeze(), share))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_the_room_by_their_size_and_give_it_back() {
        let room = Room::new(4);
        let read = async |bytes: usize| read(&HeaderMap::new(), Body::from(vec![b'x'; bytes]), &room).await;
        let (first, share) = read(3 * 1024).await.unwrap();
        assert_eq!((first.len(), room.0.available_permits()), (3 * 1024, 1));
        assert_eq!(
            read(1025).await.err().unwrap().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(read(0).await.is_ok() && read(1024).await.is_ok());
        drop(share);
        assert_eq!(room.0.available_permits(), 4);

        // Many small parts take no more than the whole.
        let parts = futures::stream::iter((0..1024).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x"))));
        let (_, share) = super::read(&HeaderMap::new(), Body::from_stream(parts), &room)
            .await
            .unwrap();
        assert_eq!((room.0.available_permits(), share.is_some()), (3, true));
    }
}
