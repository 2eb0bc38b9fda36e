//! Export of spans over OTLP/gRPC, with an allow-list of attributes.
//!
//! Ended spans wait in a bounded queue of the SDK's batch processor, whose own thread exports them. While the collector is
//! unreachable they are dropped, and the work that made them never waits.

use std::time::{Duration, Instant};

use anyhow::Context;
use opentelemetry::{
    KeyValue,
    trace::{SpanContext, TraceState},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanEvents, SpanExporter, SpanLinks},
};
use parking_lot::Mutex;

/// Pause between two warnings about an unreachable collector.
const WARNING_INTERVAL: Duration = Duration::from_mins(5);

/// Attributes that are exported: none of them can contain personal data, a token, an address or a query.
const ALLOWED: &[&str] = &[
    "error.type",
    "http.request.method",
    "http.request.resend_count",
    "http.response.status_code",
    "http.route",
    "messaging.consumer.group.name",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "peer.service",
    "rpc.grpc.status_code",
    "rpc.method",
    "rpc.service",
    "rpc.system",
    "url.scheme",
];

pub(super) fn is_allowed(key: &str) -> bool {
    ALLOWED.contains(&key)
}

/// Returns the resource of the service `name`.
pub(super) fn resource(name: &'static str) -> Resource {
    Resource::builder()
        .with_service_name(name)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ])
        .build()
}

/// Returns the exporter for the collector at `endpoint`.
///
/// # Errors
/// If the endpoint is malformed.
pub(super) fn exporter(endpoint: &str) -> anyhow::Result<impl SpanExporter + use<>> {
    let otlp = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("cannot export traces to {endpoint}"))?;
    Ok(PrivateExporter {
        exporter: otlp,
        last_warning: Mutex::new(None),
    })
}

/// An exporter that removes everything but the allowed attributes, and logs failures: the first one, one every five minutes,
/// and the recovery.
#[derive(Debug)]
struct PrivateExporter<E> {
    exporter: E,
    /// Time of the last warning; `None` while the export succeeds.
    last_warning: Mutex<Option<Instant>>,
}

/// Removes other attributes, events, links and the trace state of a span.
fn redact(span: &mut SpanData) {
    span.attributes.retain(|attribute| is_allowed(attribute.key.as_str()));
    span.events = SpanEvents::default();
    span.links = SpanLinks::default();
    let context = &span.span_context;
    span.span_context = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags(),
        context.is_remote(),
        TraceState::NONE,
    );
}

impl<E: SpanExporter> SpanExporter for PrivateExporter<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(redact);
        let count = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        let outcome = if result.is_ok() { "exported" } else { "dropped" };
        metrics::counter!("trace_spans_total", "outcome" => outcome).increment(count);
        let mut last_warning = self.last_warning.lock();
        match &result {
            Ok(()) if last_warning.take().is_some() => tracing::info!("exporting spans again"),
            Err(error) if last_warning.is_none_or(|at| at.elapsed() > WARNING_INTERVAL) => {
                *last_warning = Some(Instant::now());
                tracing::warn!(error = %error, "cannot export spans; they are dropped until the collector is reachable");
            }
            _ => {}
        }
        drop(last_warning);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        },
        time::SystemTime,
    };

    use opentelemetry::{
        InstrumentationScope, SpanId, TraceFlags, TraceId,
        trace::{Event as SpanEvent, SpanKind, Status},
    };
    use opentelemetry_sdk::error::OTelSdkError;
    use tracing::{
        Event, Metadata, Subscriber,
        span::{Attributes, Id, Record},
    };

    use super::*;

    /// A collector that can be unreachable; it stores the spans.
    #[derive(Debug, Default, Clone)]
    struct FakeCollector {
        unreachable: Arc<AtomicBool>,
        spans: Arc<Mutex<Vec<SpanData>>>,
    }

    impl SpanExporter for FakeCollector {
        async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
            if self.unreachable.load(Relaxed) {
                return Err(OTelSdkError::InternalFailure("unreachable".into()));
            }
            self.spans.lock().append(&mut batch);
            Ok(())
        }
    }

    /// Counts log lines.
    struct Lines(Arc<AtomicUsize>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Relaxed);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_unreachable_collector_costs_one_log_line_and_its_recovery_another() {
        let (collector, lines) = (FakeCollector::default(), Arc::<AtomicUsize>::default());
        let exporter = PrivateExporter {
            exporter: collector.clone(),
            last_warning: Mutex::new(None),
        };
        let export = |times: usize| {
            for _ in 0..times {
                let _ = futures::executor::block_on(exporter.export(Vec::new()));
            }
            lines.load(Relaxed)
        };
        tracing::subscriber::with_default(Lines(lines.clone()), || {
            assert_eq!(export(3), 0);
            collector.unreachable.store(true, Relaxed);
            assert_eq!(export(100), 1);
            collector.unreachable.store(false, Relaxed);
            assert_eq!(export(3), 2);
        });
    }

    #[test]
    fn only_allowed_attributes_leave_the_process() {
        let collector = FakeCollector::default();
        let exporter = PrivateExporter {
            exporter: collector.clone(),
            last_warning: Mutex::new(None),
        };
        let state = TraceState::from_key_value([("vendor", "jane")]).expect("a trace state");
        let mut events = SpanEvents::default();
        events.events.push(SpanEvent::with_name("jane logged in"));
        let span = SpanData {
            span_context: SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, state),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: "GET /patients".into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: vec![
                KeyValue::new("http.route", "/patients"),
                KeyValue::new("url.query", "search=jane"),
            ],
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        };
        futures::executor::block_on(exporter.export(vec![span])).expect("an export");
        let exported = collector.spans.lock();
        assert_eq!(exported[0].attributes, [KeyValue::new("http.route", "/patients")]);
        assert!(!format!("{:?}", exported[0]).contains("jane"), "{:?}", exported[0]);
    }
}
