//! Traces as a collector receives them, and metrics as Prometheus scrapes them.

use std::sync::Arc;

use axum::{Router, body::Body, routing::get};
use futures::FutureExt;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kit::{
    Json, Path, Problem, ServeArgs, Server, telemetry,
    testing::{CollectedSpan, Collector, TraceParent, exposition},
    trace::{HEADER, Kind, Span},
};
use tower::ServiceExt;

/// Returns a service with a route whose handler has a child span.
fn service() -> Router {
    async fn patient(Path(id): Path<String>) -> Json<String> {
        let span = Span::child(Kind::Client, "GET");
        span.scope(async { tokio::task::yield_now().await }).await;
        span.set("http.response.status_code", 200);
        Json(id)
    }
    async fn broken() -> Result<(), Problem> {
        Err(Problem::internal("it is broken"))
    }
    let args = ServeArgs {
        host: [127, 0, 0, 1].into(),
        port: 0,
        shutdown_delay: 0,
        max_connections: 64,
    };
    let routes = Router::new()
        .route("/patients/{id}", get(patient))
        .route("/broken", get(broken))
        .route("/endless", get(std::future::pending::<()>));
    Server::new("a-service", &args).routes(routes).routers().0
}

async fn send(service: &Router, method: &str, path: &str, traceparent: Option<&str>) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(trace) = traceparent {
        request = request.header(HEADER, trace);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = service.clone().oneshot(request).await.expect("a response");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn only<'a>(spans: &'a [CollectedSpan], name: &str) -> &'a CollectedSpan {
    let named: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(named.len(), 1, "spans named {name} of {spans:#?}");
    named[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_with_their_parents_and_without_personal_data() {
    let collector = Arc::new(Collector::start().await);
    telemetry::start_trace_export("a-service", &collector.endpoint).expect("a good endpoint");
    let service = service();
    let (caller, other) = (TraceParent::random(), TraceParent::random());
    let header = caller.to_string();

    send(&service, "GET", "/patients/jane@example.org?search=jane", Some(&header)).await;
    send(&service, "GET", "/broken", Some(&header)).await;
    send(&service, "BREW", "/nowhere", Some(&header)).await;
    let unsampled = format!("00-{}-{}-00", other.trace_id, other.span_id);
    send(&service, "GET", "/patients/1", Some(&unsampled)).await;
    send(&service, "GET", "/health/live", None).await;
    telemetry::shutdown().await;

    // The collector also receives the spans of other tests in this process.
    let everything = collector.spans();
    assert!(
        everything.iter().all(|span| span.trace != other.trace_id),
        "unsampled requests are not exported"
    );
    assert!(
        everything.iter().all(|span| !span.name.contains("/health")),
        "health checks are not exported"
    );
    let spans: Vec<_> = everything
        .into_iter()
        .filter(|span| span.trace == caller.trace_id)
        .collect();
    let server = only(&spans, "GET /patients/{id}");
    assert_eq!((server.service.as_str(), server.kind.as_str()), ("a-service", "SERVER"));
    assert_eq!((&server.trace, &server.parent), (&caller.trace_id, &caller.span_id));
    assert_eq!(server.attributes["http.response.status_code"], "200");
    let client = only(&spans, "GET");
    assert_eq!((&client.parent, client.kind.as_str()), (&server.id, "CLIENT"));

    let broken = only(&spans, "GET /broken");
    assert!(broken.failed && broken.attributes["error.type"] == "500", "{broken:?}");
    let unknown_method = only(&spans, "HTTP");
    assert_eq!(unknown_method.attributes["http.request.method"], "_OTHER");
    assert!(
        !unknown_method.failed,
        "an error of the client is not a failure of the service"
    );

    let text = format!("{spans:?}");
    for personal in ["jane", "search", "BREW", "nowhere", "it is broken"] {
        assert!(!text.contains(personal), "{personal} is in {text}");
    }
}

#[tokio::test]
async fn metrics_are_well_formed_described_and_bounded_in_their_labels() {
    let service = service();
    for (method, path) in [
        ("GET", "/patients/7d3c1e1e-1c8f-4d0e-9d0c-1f2d3c4b5a69"),
        ("GET", "/patients/jane@example.org"),
        ("BREW", "/patients/1"),
        ("GET", "/nowhere/1"),
        ("GET", "/nowhere/2"),
    ] {
        send(&service, method, path, None).await;
    }
    // A client that disconnects before the response.
    let request = Request::get("/endless").body(Body::empty()).expect("a request");
    assert!(service.clone().oneshot(request).now_or_never().is_none());

    let (status, text) = send(&service, "GET", "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    let samples = exposition::read(&text).expect("metrics in the format of Prometheus");
    let count = |method: &str, route: &str, status: &str| {
        let labels = [("method", method), ("route", route), ("status", status)];
        samples
            .iter()
            .filter(|sample| sample.name == "http_requests_total")
            .find(|sample| labels.iter().all(|(key, value)| sample.labels[*key] == **value))
            .map_or(0.0, |sample| sample.value)
    };
    assert!(count("GET", "/patients/{id}", "200") >= 2.0);
    assert!(count("other", "/patients/{id}", "405") >= 1.0);
    assert!(count("GET", "-", "404") >= 2.0);
    assert!((count("GET", "/endless", "499") - 1.0).abs() < f64::EPSILON);
    for name in [
        "http_request_duration_seconds_bucket",
        "http_requests_in_flight",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(samples.iter().any(|sample| sample.name == name), "{name} in {text}");
    }
    for personal in ["7d3c1e1e", "jane", "BREW", "nowhere"] {
        assert!(!text.contains(personal), "{personal} is in {text}");
    }
}
