//! The trace that a piece of work belongs to, as W3C Trace Context carries it.

use std::{fmt, future::Future};

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
    sampled: bool,
}

impl Trace {
    /// A trace that starts here.
    pub fn fresh() -> Self {
        Self {
            id: rand::random::<u128>().max(1),
            span: rand::random::<u64>().max(1),
            sampled: true,
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

    fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version.len(), id.len(), span.len(), flags.len()];
        let plain = header
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
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

    #[test]
    fn a_trace_is_continued_with_a_span_of_its_own() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::continued(Some(parent));
        assert_eq!(trace.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(trace.to_string(), parent);
        assert_eq!(
            Trace::parse(parent).map(|trace| trace.to_string()).as_deref(),
            Some(parent)
        );
    }

    #[test]
    fn a_malformed_header_starts_a_new_trace() {
        for bad in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-é",
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
    }
}
