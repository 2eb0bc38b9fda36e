//! Spans on their way to an OpenTelemetry collector, over OTLP/gRPC.
//!
//! Ended spans wait in a bounded queue of the SDK's batch processor, whose own thread sends them; while the collector is
//! away they are dropped, and the work that made them never waits.

use std::{
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor},
};

/// How often a collector that stays away is mentioned.
const MENTION: Duration = Duration::from_secs(300);
/// How long the last spans may take to leave when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

static PROCESSOR: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// Starts exporting to the collector at `endpoint`, as the service `name`; call it inside the runtime, once.
///
/// # Errors
/// When the endpoint is malformed. A collector that is away is no error.
pub(crate) fn start(name: &'static str, endpoint: &str, fraction: f64) -> anyhow::Result<()> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("traces cannot be sent to {endpoint}"))?;
    let exporter = Reporting {
        exporter,
        away: Mutex::new(None),
    };
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    let instance = uuid::Uuid::new_v4().to_string();
    processor.set_resource(
        &Resource::builder()
            .with_service_name(name)
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance),
            ])
            .build(),
    );
    super::sampler::set(fraction);
    anyhow::ensure!(PROCESSOR.set(processor).is_ok(), "traces are exported already");
    Ok(())
}

/// Whether spans are exported at all.
pub(super) fn enabled() -> bool {
    PROCESSOR.get().is_some()
}

/// Takes a span that has ended.
pub(super) fn ended(span: SpanData) {
    if let Some(processor) = PROCESSOR.get() {
        processor.on_end(span);
    }
}

/// Exports the last spans and ends the export; takes 1 s at most.
pub(crate) async fn shutdown() {
    let ended = tokio::task::spawn_blocking(|| PROCESSOR.get().map(|processor| processor.shutdown_with_timeout(FLUSH)));
    if let Ok(Some(Err(error))) = ended.await {
        tracing::warn!(error = %error, "the last spans could not be exported");
    }
}

/// An exporter that tells of failures: once when they begin, then every five minutes, and when they are over.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    /// When failures were last mentioned; none while all is well.
    away: Mutex<Option<Instant>>,
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        let outcome = if result.is_ok() { "exported" } else { "dropped" };
        metrics::counter!("trace_spans_total", "outcome" => outcome).increment(count);
        let mut away = self.away.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &result {
            Ok(()) if away.take().is_some() => tracing::info!("the trace collector takes spans again"),
            Err(error) if away.is_none_or(|at| at.elapsed() > MENTION) => {
                *away = Some(Instant::now());
                tracing::warn!(error = %error, "the trace collector does not take spans; they are dropped until it does");
            }
            _ => {}
        }
        drop(away);
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
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    };

    use opentelemetry_sdk::error::OTelSdkError;
    use tracing::{
        Event, Metadata, Subscriber,
        span::{Attributes, Id, Record},
    };

    use super::*;

    /// A collector that can be away.
    #[derive(Debug, Default)]
    struct Fickle(Arc<AtomicBool>);

    impl SpanExporter for Fickle {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            if self.0.load(Relaxed) {
                Err(OTelSdkError::InternalFailure("away".into()))
            } else {
                Ok(())
            }
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
    fn a_collector_that_is_away_costs_one_line_when_it_leaves_and_one_when_it_is_back() {
        let (away, lines) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let reporting = Reporting {
            exporter: Fickle(away.clone()),
            away: Mutex::new(None),
        };
        let export = |times: usize| {
            for _ in 0..times {
                let _ = futures::executor::block_on(reporting.export(Vec::new()));
            }
            lines.load(Relaxed)
        };
        tracing::subscriber::with_default(Lines(lines.clone()), || {
            assert_eq!(export(3), 0);
            away.store(true, Relaxed);
            assert_eq!(export(100), 1);
            away.store(false, Relaxed);
            assert_eq!(export(3), 2);
        });
    }
}
