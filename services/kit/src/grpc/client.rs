//! The caller's end.

use std::future::Future;

use tonic::{Code, Status};

use super::{Call, End};
use crate::trace::{Kind, Span};

/// Makes one call of `service`/`method`: `work` runs in a client span, and its outcome is counted.
///
/// `work` builds the request, too, so that [`crate::trace::Trace::current`] is what the peer must be told.
///
/// # Errors
/// What `work` gives.
pub async fn observed<T>(
    service: &'static str,
    method: &'static str,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let span = Span::child(Kind::Client, format!("{service}/{method}"));
    let mut call = Call::started(End::Client, service, method, span);
    let result = call.span.scope(work).await;
    call.ended(result.as_ref().map_or_else(Status::code, |_| Code::Ok));
    result
}
