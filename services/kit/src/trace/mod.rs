//! Traces: OpenTelemetry spans, carried as W3C Trace Context, and exported over OTLP.
//!
//! Spans are those of the OpenTelemetry SDK, with its samplers and its propagator. They are started in this crate and the
//! gateway only, and exported if `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Without it they still have ids, so that the log
//! lines of a request can be found together. `tracestate` and `baggage` are not read: a client could put anything there.

mod export;
mod sampler;
mod span;

use std::{sync::Once, time::Duration};

use opentelemetry::{
    Context, SpanId, TraceId,
    global::{self, BoxedTracer},
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{BatchSpanProcessor, SdkTracerProvider, ShouldSample},
};
use parking_lot::Mutex;

pub use opentelemetry::trace::SpanKind as Kind;
pub use sampler::Sampler;
pub use span::Span;

/// The header that carries a trace over HTTP, gRPC metadata and Kafka.
pub const HEADER: &str = "traceparent";

/// Time limit for the export of the last spans when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

static PROVIDER: Mutex<Option<SdkTracerProvider>> = Mutex::new(None);
/// Done once there is a provider.
static INIT: Once = Once::new();

/// Starts to make spans for the service `name`, and to export them if there is an `endpoint`. Requires a runtime.
///
/// # Errors
/// If the endpoint is malformed. An unreachable collector is not an error.
pub(crate) fn init(
    name: &'static str,
    endpoint: Option<&str>,
    sampler: impl Into<Box<dyn ShouldSample>>,
) -> anyhow::Result<()> {
    let mut provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_resource(export::resource(name));
    if let Some(endpoint) = endpoint {
        let exporter = export::exporter(endpoint)?;
        provider = provider.with_span_processor(BatchSpanProcessor::builder(exporter).build());
    }
    let provider = provider.build();
    INIT.call_once(|| {});
    global::set_tracer_provider(provider.clone());
    *PROVIDER.lock() = Some(provider);
    Ok(())
}

/// Returns the tracer; without [`init`], as in tests, spans have ids and are not exported.
fn tracer() -> BoxedTracer {
    INIT.call_once(|| global::set_tracer_provider(SdkTracerProvider::builder().build()));
    global::tracer(env!("CARGO_PKG_NAME"))
}

/// Exports the last spans, for [`SHUTDOWN_TIMEOUT`] at most.
pub(crate) async fn shutdown() {
    let provider = PROVIDER.lock().take();
    let ended =
        tokio::task::spawn_blocking(|| provider.map(|provider| provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT)));
    if let Ok(Some(Err(error))) = ended.await {
        tracing::warn!(error = %error, "the last spans could not be exported");
    }
}

/// Returns the value of [`HEADER`] for a call that the current task makes; `None` outside a span.
pub fn traceparent() -> Option<String> {
    Context::map_current(header_value)
}

/// Returns the ids of the current trace and span; `None` outside a span.
pub(crate) fn current_ids() -> Option<(TraceId, SpanId)> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| (span.trace_id(), span.span_id()))
    })
}

fn header_value(context: &Context) -> Option<String> {
    struct Header(Option<String>);
    impl Injector for Header {
        fn set(&mut self, key: &str, value: String) {
            if key == HEADER {
                self.0 = Some(value);
            }
        }
    }
    let mut header = Header(None);
    TraceContextPropagator::new().inject_context(context, &mut header);
    header.0
}

/// Returns a context with the caller's span; an empty one if the header is missing or malformed.
fn remote_context(header: Option<&str>) -> Context {
    struct Header<'a>(&'a str);
    impl Extractor for Header<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == HEADER).then_some(self.0)
        }
        fn keys(&self) -> Vec<&str> {
            vec![HEADER]
        }
    }
    let context = Context::new();
    match header {
        Some(header) => TraceContextPropagator::new().extract_with_context(&context, &Header(header)),
        None => context,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(header: &str) -> Option<String> {
        header_value(&remote_context(Some(header)))
    }

    #[test]
    fn a_header_is_read_and_written_alike() {
        assert_eq!(parse(PARENT).as_deref(), Some(PARENT));
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(parse(&unsampled), Some(unsampled));
        // Of the flags only "sampled" is known; unknown ones are not passed on.
        assert_eq!(parse(&PARENT.replace("-01", "-03")).as_deref(), Some(PARENT));
    }

    #[test]
    fn a_later_version_of_the_header_is_read_as_far_as_it_is_known() {
        let later = PARENT.replacen("00", "cc", 1) + "-What-the-future-brings";
        assert_eq!(parse(&later).as_deref(), Some(PARENT));
    }

    #[test]
    fn a_malformed_header_is_ignored() {
        for header in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
            "00-é",
        ] {
            assert_eq!(parse(header), None, "{header}");
        }
    }
}
