//! What a service tells of itself, as a collector and as Prometheus see it.

use std::sync::Arc;

use axum::{Router, body::Body, routing::get};
use futures::FutureExt;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kit::{
    Json, Path, Problem, ServeArgs, Server, telemetry,
    testing::{CollectedSpan, Collector, exposition},
    trace::{HEADER, Kind, Span, Trace},
};
use tower::ServiceExt;

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A service with a route that does a part of its work in a span of its own.
fn service() -> Router {
    async fn patient(Path(id): Path<String>) -> Json<String> {
        let mut span = Span::child(Kind::Client, "GET");
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

async fn ask(service: &Router, method: &str, path: &str, traceparent: Option<&str>) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(trace) = traceparent {
        request = request.header(HEADER, trace);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = service.clone().oneshot(request).await.expect("an answer");
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
async fn spans_reach_the_collector_with_their_parents_and_without_anything_personal() {
    let collector = Arc::new(Collector::start().await);
    telemetry::start_trace_export("a-service", &collector.endpoint).expect("a good endpoint");
    let service = service();

    ask(&service, "GET", "/patients/jane@example.org?search=jane", Some(CALLER)).await;
    ask(&service, "GET", "/broken", Some(CALLER)).await;
    ask(&service, "BREW", "/nowhere", Some(CALLER)).await;
    let unsampled = CALLER.replace("4bf9", "5bf9").replace("-01", "-00");
    ask(&service, "GET", "/patients/1", Some(&unsampled)).await;
    ask(&service, "GET", "/health/live", None).await;
    telemetry::shutdown().await;

    let caller = Trace::parse(CALLER).expect("a good header");
    // Other tests of this process are seen by the collector, too.
    let everything = collector.spans();
    assert!(
        everything.iter().all(|span| !span.trace.starts_with("5bf9")),
        "unsampled requests are not sent"
    );
    assert!(
        everything.iter().all(|span| !span.name.contains("/health")),
        "health checks are not sent"
    );
    let spans: Vec<_> = everything
        .into_iter()
        .filter(|span| span.trace == caller.hex())
        .collect();
    let server = only(&spans, "GET /patients/{id}");
    assert_eq!((server.service.as_str(), server.kind.as_str()), ("a-service", "SERVER"));
    assert_eq!(
        (server.trace.clone(), server.parent.clone()),
        (caller.hex(), caller.span_hex())
    );
    assert_eq!(server.attributes["http.response.status_code"], "200");
    let client = only(&spans, "GET");
    assert_eq!((&client.parent, client.kind.as_str()), (&server.id, "CLIENT"));

    let broken = only(&spans, "GET /broken");
    assert!(broken.failed && broken.attributes["error.type"] == "500", "{broken:?}");
    let strange = only(&spans, "HTTP");
    assert_eq!(strange.attributes["http.request.method"], "_OTHER");
    assert!(
        !strange.failed,
        "a mistake of the caller's is no failure of the service"
    );

    let told = format!("{spans:?}");
    for personal in ["jane", "search", "BREW", "nowhere", "it is broken"] {
        assert!(!told.contains(personal), "{personal} is in {told}");
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
        ask(&service, method, path, None).await;
    }
    // A client that leaves before the answer.
    let request = Request::get("/endless").body(Body::empty()).expect("a request");
    assert!(service.clone().oneshot(request).now_or_never().is_none());

    let (status, text) = ask(&service, "GET", "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    let samples = exposition::read(&text).expect("metrics that Prometheus takes");
    let count = |method: &str, route: &str, status: &str| {
        let wanted = [("method", method), ("route", route), ("status", status)];
        samples
            .iter()
            .filter(|sample| sample.name == "http_requests_total")
            .find(|sample| wanted.iter().all(|(key, value)| sample.labels[*key] == **value))
            .map_or(0.0, |sample| sample.value)
    };
    assert!(count("GET", "/patients/{id}", "200") >= 2.0);
    assert!(count("other", "/patients/{id}", "405") >= 1.0);
    assert!(count("GET", "-", "404") >= 2.0);
    assert_eq!(count("GET", "/endless", "499"), 1.0);
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
