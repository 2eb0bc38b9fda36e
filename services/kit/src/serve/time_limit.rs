//! The time limit of a request: 408 if the client was slow, 503 if the service was.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::problem::Problem;

/// Limits the time of a request. The client has the limit to send its body, and the service has it from then on.
pub(super) async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let progress = Arc::new(Mutex::new(Progress::NotAwaited));
    let followed = progress.clone();
    let request = request.map(|body| {
        if body.is_end_stream() {
            body
        } else {
            Body::new(FollowedBody {
                body,
                progress: followed,
            })
        }
    });
    let mut response = pin!(next.run(request));
    let mut deadline = Instant::now() + limit;
    loop {
        if let Ok(response) = timeout_at(deadline, response.as_mut()).await {
            return response;
        }
        match *progress.lock() {
            Progress::Awaited => return too_slow(),
            Progress::Complete(at) if at + limit > deadline => deadline = at + limit,
            _ => return Problem::unavailable("The request took too long").into_response(),
        }
    }
}

/// 408; the client must not continue on this connection (RFC 9110, 15.5.9).
fn too_slow() -> Response {
    let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "The request body took too long to arrive");
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    (close, problem).into_response()
}

/// Progress of a request's body.
enum Progress {
    /// The service does not wait for more of it.
    NotAwaited,
    /// The service waits for the client.
    Awaited,
    /// It was read to its end, or dropped.
    Complete(Instant),
}

/// A body whose progress is followed.
struct FollowedBody {
    body: Body,
    progress: Arc<Mutex<Progress>>,
}

impl HttpBody for FollowedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        *self.progress.lock() = match &polled {
            Poll::Pending => Progress::Awaited,
            Poll::Ready(Some(Ok(_))) => Progress::NotAwaited,
            Poll::Ready(_) => Progress::Complete(Instant::now()),
        };
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for FollowedBody {
    fn drop(&mut self) {
        let mut progress = self.progress.lock();
        if !matches!(*progress, Progress::Complete(_)) {
            *progress = Progress::Complete(Instant::now());
        }
    }
}
