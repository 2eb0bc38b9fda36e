//! The body of a request: what a handler leaves unread is read and dropped, so that the client gets the response.
//!
//! A connection that is closed while the client still sends is reset, and a reset destroys a response that the client has not
//! read yet. After a refusal the body is therefore read to its end, within [`Limits`], and the connection stays usable.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::{runtime::Handle, time::timeout};

use super::{Limits, stream::Responding};

/// The body of a request; dropping it drains the rest in the background.
pub(super) struct RequestBody {
    /// `None` after the body was read to its end, or failed.
    body: Option<Incoming>,
    /// Set while the client waits for `100 Continue`: it does not send a body that nobody reads.
    awaits_continue: bool,
    limits: Limits,
    /// The request is in progress until its body is drained.
    responding: Arc<Responding>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, headers: &HeaderMap, limits: Limits, responding: Arc<Responding>) -> Self {
        Self {
            body: Some(body),
            awaits_continue: headers.contains_key(header::EXPECT),
            limits,
            responding,
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaits_continue = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream())
            && !self.awaits_continue
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(drain(body, self.limits, self.responding.clone()));
        }
    }
}

/// Reads a body to its end, or to the limits of time and size; the connection is closed if it has not ended then.
async fn drain(mut body: Incoming, limits: Limits, responding: Arc<Responding>) {
    let mut rest = limits.drain_bytes;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match rest.checked_sub(length) {
                Some(less) => rest = less,
                None => break,
            }
        }
    };
    // The response is the same whether or not the timeout passes.
    let _ = timeout(limits.drain, read).await;
    drop(responding);
}
