//! A span with a duration that does not depend on the wall clock, and the future that runs in it.

use std::{
    borrow::Cow,
    future::Future,
    time::{Instant, SystemTime},
};

use opentelemetry::{
    Context, KeyValue, TraceFlags, Value,
    trace::{FutureExt, SpanContext, Status, TraceContextExt, TraceState, Tracer},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::{Kind, header_value, remote_context, tracer};

/// A unit of work with a name, a duration, attributes and a status; it ends when it is dropped.
///
/// Names and attributes follow OpenTelemetry's semantic conventions. They must not contain personal data, tokens, addresses
/// or queries: users of traces are not authorised to read patients' data. Only attributes on the allow-list are exported.
#[derive(Debug)]
pub struct Span {
    context: Context,
    started: SystemTime,
    clock: Instant,
}

impl Span {
    /// Starts a span for another process; `header` is the caller's [`super::HEADER`]. Without one, a trace starts here.
    pub fn continued(kind: Kind, name: impl Into<Cow<'static, str>>, header: Option<&str>) -> Self {
        Self::start(kind, name.into(), &remote_context(header))
    }

    /// Starts a child of the current span; outside a span, a trace starts here.
    pub fn child(kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        Context::map_current(|parent| Self::start(kind, name.into(), parent))
    }

    /// Starts a trace that is never exported, such as of a health check.
    pub fn unrecorded() -> Self {
        let ids = RandomIdGenerator::default();
        let span = SpanContext::new(
            ids.new_trace_id(),
            ids.new_span_id(),
            TraceFlags::NOT_SAMPLED,
            false,
            TraceState::NONE,
        );
        Self::new(Context::new().with_remote_span_context(span), SystemTime::now())
    }

    fn start(kind: Kind, name: Cow<'static, str>, parent: &Context) -> Self {
        let started = SystemTime::now();
        let tracer = tracer();
        let span = tracer
            .span_builder(name)
            .with_kind(kind)
            .with_start_time(started)
            .start_with_context(&tracer, parent);
        Self::new(Context::new().with_span(span), started)
    }

    fn new(context: Context, started: SystemTime) -> Self {
        Self {
            context,
            started,
            clock: Instant::now(),
        }
    }

    /// Returns the value of [`super::HEADER`] for a call that belongs to this span.
    pub fn traceparent(&self) -> Option<String> {
        header_value(&self.context)
    }

    /// Runs `work` in this span.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        work.with_context(self.context.clone()).await
    }

    /// Sets an attribute; its key must be on the allow-list.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        let span = self.context.span();
        if span.is_recording() {
            debug_assert!(super::export::is_allowed(key), "{key} is not on the allow-list");
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Sets the status to an error; `kind` is one of a few names, never the text of an error, which may quote data.
    pub fn fail(&self, kind: impl Into<Cow<'static, str>>) {
        self.set("error.type", Value::String(kind.into().into()));
        self.context.span().set_status(Status::error(""));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // The wall clock may have been set back; a duration must not be negative.
        let ended = self.started + self.clock.elapsed();
        self.context.span().end_with_timestamp(ended);
    }
}
