//! The trace that a piece of work belongs to, as W3C Trace Context carries it, and the spans it consists of.
//!
//! A [`Trace`] says where in a trace the running task is; it is always there, so that log lines are found together. A
//! [`Span`] is one piece of work with a name, a duration and an outcome; spans leave the process over OTLP when
//! `OTEL_EXPORTER_OTLP_ENDPOINT` is set. `tracestate` is not read, and ends where the way leaves HTTP.

pub(crate) mod export;
mod sampler;
mod span;

use std::{fmt, future::Future};

pub use opentelemetry::trace::SpanKind as Kind;
pub use sampler::Sampler;
pub use span::Span;

tokio::task_local! {
    static CURRENT: Trace;
}

/// The header that carries a trace over HTTP, gRPC metadata and Kafka alike.
pub const HEADER: &str = "traceparent";

/// A trace's id and the id of the span that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The same in every service that a request passes.
    pub id: u128,
    /// This service's part.
    pub span: u64,
    /// Whether the spans of this trace are exported; decided where the trace begins.
    pub sampled: bool,
}

impl Trace {
    /// A trace that starts here.
    pub fn fresh() -> Self {
        let id = rand::random::<u128>().max(1);
        Self {
            id,
            span: rand::random::<u64>().max(1),
            sampled: sampler::takes(id),
        }
    }

    /// Continues the caller's trace; a missing or malformed header starts a new one.
    pub fn continued(header: Option<&str>) -> Self {
        header.and_then(Self::parse).map_or_else(Self::fresh, Self::child)
    }

    /// The same trace with a span of its own.
    pub fn child(self) -> Self {
        Self {
            span: rand::random::<u64>().max(1),
            ..self
        }
    }

    /// The trace of the running task, when it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|trace| *trace).ok()
    }

    /// Runs `work` as a part of this trace.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The trace's id as 32 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The running span's id as 16 hexadecimal digits.
    pub fn span_hex(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Reads the value of [`HEADER`]; none when it is malformed (W3C Trace Context, 3.2).
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version.len(), id.len(), span.len(), flags.len()];
        let plain = [version, id, span, flags].iter().all(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        });
        if lengths != [2, 32, 16, 2] || !plain || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let (id, span) = (u128::from_str_radix(id, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (id != 0 && span != 0).then_some(Self { id, span, sampled })
    }
}

/// The value of [`HEADER`] (W3C Trace Context, version 00).
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.id,
            self.span,
            u8::from(self.sampled)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_is_continued_with_a_span_of_its_own() {
        let trace = Trace::continued(Some(PARENT));
        assert_eq!(trace.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(trace.to_string(), PARENT);
        assert_eq!(
            Trace::parse(PARENT).map(|trace| trace.to_string()).as_deref(),
            Some(PARENT)
        );
    }

    #[test]
    fn the_callers_decision_not_to_sample_is_kept() {
        let unsampled = PARENT.replace("-01", "-00");
        assert!(!Trace::continued(Some(&unsampled)).sampled);
        // Of the flags only "sampled" is known; unknown ones are not passed on.
        assert!(Trace::continued(Some(&PARENT.replace("-01", "-03"))).sampled);
    }

    #[test]
    fn a_later_version_of_the_header_is_read_as_far_as_it_is_known() {
        let later = PARENT.replacen("00", "cc", 1) + "-What-the-future-brings";
        assert_eq!(Trace::continued(Some(&later)).hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_malformed_header_starts_a_new_trace() {
        for bad in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
            "00-é",
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
    }
}
