//! The body of a client's request: who is to blame if it does not arrive, and the rest of a body that nobody reads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::activity::Activity;
use super::client_stream::{DRAIN_BYTES, DRAIN_TIMEOUT};

/// The progress of a body, shared with the request that waits for the response of a target.
#[derive(Clone, Default)]
pub struct Progress(Arc<AtomicU8>);

const AWAITED: u8 = 1;
const FAILED: u8 = 2;

impl Progress {
    /// Returns true while the load balancer waits for the client.
    pub fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed) == AWAITED
    }

    /// Returns true if the body is malformed, or ended early.
    pub fn is_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FAILED
    }
}

/// The body of a client's request; dropping it drains the rest, so that the client gets the response and no reset.
pub struct RequestBody {
    /// `None` after the end of the body, and after it failed.
    body: Option<Incoming>,
    /// Set while a client that sent `Expect: 100-continue` waits; it does not send a body that nobody reads.
    awaits_continue: bool,
    progress: Progress,
    activity: Activity,
}

impl RequestBody {
    pub fn new(body: Incoming, awaits_continue: bool) -> Self {
        Self {
            body: Some(body),
            awaits_continue,
            progress: Progress::default(),
            activity: Activity::default(),
        }
    }

    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Returns the activity of the exchange, to which each part of the body adds.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaits_continue = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        let progress = match &polled {
            Poll::Pending => AWAITED,
            Poll::Ready(Some(Err(_))) => FAILED,
            Poll::Ready(_) => 0,
        };
        self.progress.0.store(progress, Ordering::Relaxed);
        if polled.is_ready() {
            self.activity.touch();
        }
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        if !self.awaits_continue
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(DRAIN_TIMEOUT, async move {
                let mut rest = DRAIN_BYTES;
                while let Some(Ok(frame)) = body.frame().await {
                    match rest.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                        Some(less) => rest = less,
                        None => return,
                    }
                }
            }));
        }
    }
}
