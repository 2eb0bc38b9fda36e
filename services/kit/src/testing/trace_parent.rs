//! The trace of a client that calls a service.

use std::fmt;

use uuid::Uuid;

/// A sampled trace with the client's span; its `Display` is the header `traceparent`.
#[derive(Debug, Clone)]
pub struct TraceParent {
    /// The trace's id, 32 hexadecimal digits.
    pub trace_id: String,
    /// The id of the client's span, 16 hexadecimal digits.
    pub span_id: String,
}

impl TraceParent {
    /// Starts a trace with random ids.
    pub fn random() -> Self {
        let id = || Uuid::new_v4().simple().to_string();
        Self {
            trace_id: id(),
            span_id: id()[..16].to_owned(),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{}-{}-01", self.trace_id, self.span_id)
    }
}
