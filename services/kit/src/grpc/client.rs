//! The client side of a call.

use std::future::Future;

use tonic::{Code, Status};

use super::{Call, Side};
use crate::trace::{Kind, Span};

/// Repeats a call once that ended with its connection, as at the connection's maximum age; the next one is opened for it. Only for
/// calls with the same effect twice: the peer may have received the first.
///
/// # Errors
/// Those of the call.
pub async fn repeat_if_cancelled<T, F>(mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    match call().await {
        Err(status) if status.code() == Code::Cancelled => call().await,
        result => result,
    }
}

/// Runs `work`, one call of `service`/`method`, in a client span and counts its outcome.
///
/// `work` also builds the request, so that [`crate::trace::traceparent`] is the trace to send to the peer.
///
/// # Errors
/// Those of `work`.
pub async fn traced_call<T>(
    service: &'static str,
    method: &'static str,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let span = Span::child(Kind::Client, format!("{service}/{method}"));
    let mut call = Call::start(Side::Client, service, method, span);
    let result = call.span.scope(work).await;
    call.ended(result.as_ref().map_or_else(Status::code, |_| Code::Ok));
    result
}
