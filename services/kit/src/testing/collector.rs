//! A minimal trace collector: it receives OTLP/gRPC and stores the spans.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// A received span; ids are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// `service.name` of its process.
    pub service: String,
    /// The trace's id, 32 digits.
    pub trace: String,
    /// The span's id, 16 digits.
    pub id: String,
    /// The parent span's id; empty for the first span of a trace.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// Its kind: SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL.
    pub kind: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Set if its status is an error.
    pub failed: bool,
}

/// A collector on a free loopback port; it ends when it is dropped.
pub struct Collector {
    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Starts to listen.
    ///
    /// # Panics
    /// If no loopback port can be bound.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("the port"));
        let spans = Arc::<Mutex<Vec<CollectedSpan>>>::default();
        let service = TraceServiceServer::new(ReceivedSpans(spans.clone()));
        let serving = tokio::spawn(async move {
            let incoming = TcpIncoming::from(listener);
            let _ = Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await;
        });
        Self {
            endpoint,
            spans,
            serving,
        }
    }

    /// Returns every received span.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.lock().clone()
    }

    /// Returns the spans of one trace, once they are `enough`.
    ///
    /// # Panics
    /// If that does not happen within `limit`; the message shows the received spans.
    pub async fn trace(
        &self,
        id: &str,
        limit: Duration,
        enough: impl Fn(&[CollectedSpan]) -> bool,
    ) -> Vec<CollectedSpan> {
        let started = Instant::now();
        loop {
            let spans: Vec<_> = self.spans().into_iter().filter(|span| span.trace == id).collect();
            if enough(&spans) {
                return spans;
            }
            assert!(
                started.elapsed() < limit,
                "received only these spans of trace {id}: {spans:#?}"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct ReceivedSpans(Arc<Mutex<Vec<CollectedSpan>>>);

#[tonic::async_trait]
impl TraceService for ReceivedSpans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.0.lock();
        for resource in request.into_inner().resource_spans {
            let resource_attributes = attributes(
                resource
                    .resource
                    .map(|resource| resource.attributes)
                    .unwrap_or_default(),
            );
            let service = resource_attributes.get("service.name").cloned().unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            received.extend(spans.map(|span| collected(&service, span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn collected(service: &str, span: Span) -> CollectedSpan {
    let kind = span.kind().as_str_name();
    let kind = kind.strip_prefix("SPAN_KIND_").unwrap_or(kind).to_owned();
    debug_assert_ne!(span.kind(), SpanKind::Unspecified);
    CollectedSpan {
        service: service.to_owned(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind,
        failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
        attributes: attributes(span.attributes),
        name: span.name,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
