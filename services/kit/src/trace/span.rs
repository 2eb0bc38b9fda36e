//! One piece of work of a trace.

use std::{
    borrow::Cow,
    future::Future,
    sync::LazyLock,
    time::{Instant, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{SpanContext, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{Kind, Trace, export};

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("kit")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
});

/// A piece of work with a name, a duration, attributes and an outcome; it ends when it is dropped.
///
/// Names and attributes follow OpenTelemetry's semantic conventions. They must hold no patient's data, no token, no
/// address and no query: they leave the process, and who reads traces is not who may read patients.
#[derive(Debug)]
pub struct Span {
    trace: Trace,
    /// The parent's span id, and whether it is another process'.
    parent: Option<(u64, bool)>,
    /// None when nobody will read it: not sampled, or nothing is exported.
    record: Option<Box<Record>>,
}

#[derive(Debug)]
struct Record {
    kind: Kind,
    name: Cow<'static, str>,
    started: SystemTime,
    clock: Instant,
    attributes: Vec<KeyValue>,
    failed: bool,
}

impl Span {
    /// Work that another process asked for; `header` is its [`super::HEADER`], without which a trace begins here.
    pub fn continued(kind: Kind, name: impl Into<Cow<'static, str>>, header: Option<&str>) -> Self {
        match header.and_then(Trace::parse) {
            Some(parent) => Self::start(kind, name, parent.child(), Some((parent.span, true))),
            None => Self::start(kind, name, Trace::fresh(), None),
        }
    }

    /// A part of the work that the running task does; without one, a trace begins here.
    pub fn child(kind: Kind, name: impl Into<Cow<'static, str>>) -> Self {
        match Trace::current() {
            Some(parent) => Self::start(kind, name, parent.child(), Some((parent.span, false))),
            None => Self::start(kind, name, Trace::fresh(), None),
        }
    }

    /// A trace that nobody will read, for what would only be noise.
    pub fn unrecorded() -> Self {
        let trace = Trace {
            sampled: false,
            ..Trace::fresh()
        };
        Self {
            trace,
            parent: None,
            record: None,
        }
    }

    fn start(kind: Kind, name: impl Into<Cow<'static, str>>, trace: Trace, parent: Option<(u64, bool)>) -> Self {
        let record = (trace.sampled && export::enabled()).then(|| {
            Box::new(Record {
                kind,
                name: name.into(),
                started: SystemTime::now(),
                clock: Instant::now(),
                attributes: Vec::with_capacity(8),
                failed: false,
            })
        });
        Self { trace, parent, record }
    }

    /// What callees are told, in the header [`super::HEADER`].
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// Runs `work` inside this span.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        self.trace.scope(work).await
    }

    /// Sets an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(record) = &mut self.record {
            record.attributes.push(KeyValue::new(key, value));
        }
    }

    /// Says that the work failed; `kind` is one of a few words, never an error's own text, which may quote data.
    pub fn fail(&mut self, kind: impl Into<Cow<'static, str>>) {
        if let Some(record) = &mut self.record {
            record.failed = true;
            record
                .attributes
                .push(KeyValue::new("error.type", Value::String(kind.into().into())));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(record) = self.record.take() else { return };
        let (parent, remote) = self.parent.unwrap_or_default();
        export::ended(SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(self.trace.id.to_be_bytes()),
                SpanId::from_bytes(self.trace.span.to_be_bytes()),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: SpanId::from_bytes(parent.to_be_bytes()),
            parent_span_is_remote: remote,
            span_kind: record.kind,
            name: record.name,
            start_time: record.started,
            // The wall clock may be set meanwhile; a duration must not become negative.
            end_time: record.started + record.clock.elapsed(),
            attributes: record.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if record.failed {
                Status::error("")
            } else {
                Status::Unset
            },
            instrumentation_scope: SCOPE.clone(),
        });
    }
}
