//! The body of a target's response: it ends with an error if nothing moves for the idle timeout.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::Activity;
use super::responses::BoxError;
use super::target::InFlight;

/// The body of a response on its way to the client.
pub struct ResponseBody {
    body: Incoming,
    activity: Activity,
    idle_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// A target drains until the last byte of its last response is sent.
    _in_flight: InFlight,
}

impl ResponseBody {
    pub fn new(body: Incoming, activity: Activity, idle_timeout: Duration, in_flight: InFlight) -> Self {
        Self {
            body,
            timer: Box::pin(sleep_until(activity.deadline(idle_timeout))),
            activity,
            idle_timeout,
            _in_flight: in_flight,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.activity.touch();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        loop {
            if this.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let deadline = this.activity.deadline(this.idle_timeout);
            if deadline <= Instant::now() {
                return Poll::Ready(Some(Err("the target was idle for too long".into())));
            }
            this.timer.as_mut().reset(deadline);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
