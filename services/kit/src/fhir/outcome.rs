//! Errors of the FHIR API: each problem becomes an `OperationOutcome`.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::Resource;
use crate::problem::Problem;

/// Converts the problems of requests under `/fhir/`, those of the common code among them; headers stay.
pub(crate) async fn outcomes(request: Request, next: Next) -> Response {
    let is_fhir = request.uri().path().starts_with("/fhir/");
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>().filter(|_| is_fhir) else {
        return response;
    };
    let resource = Resource(outcome(problem)).into_response();
    let (mut parts, _) = response.into_parts();
    let (mut converted, body) = resource.into_parts();
    for name in [http::header::CONTENT_TYPE, http::header::CONTENT_LENGTH] {
        parts.headers.remove(&name);
        if let Some(value) = converted.headers.remove(&name) {
            parts.headers.insert(name, value);
        }
    }
    Response::from_parts(parts, body)
}

fn outcome(problem: &Problem) -> Value {
    let code = code(problem.status());
    let issue = |text: String| json!({"severity": "error", "code": code, "diagnostics": text});
    let issues: Vec<Value> = if problem.errors().is_empty() {
        vec![issue(problem.detail().to_owned())]
    } else {
        let fields = problem.errors().iter();
        fields
            .map(|(field, message)| issue(format!("{field}: {message}")))
            .collect()
    };
    json!({"resourceType": "OperationOutcome", "issue": issues})
}

/// Returns the code of an issue (<http://hl7.org/fhir/R4/valueset-issue-type.html>).
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "login",
        403 => "forbidden",
        404 => "not-found",
        405 | 406 | 415 => "not-supported",
        408 | 504 => "timeout",
        409 | 412 => "conflict",
        410 => "deleted",
        413 | 414 | 431 => "too-long",
        422 => "processing",
        429 => "throttled",
        503 => "transient",
        500.. => "exception",
        _ => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_problem_under_fhir_is_an_operation_outcome_with_its_status_and_headers() {
        let router = Router::new()
            .route("/fhir/a", get(|| async { Problem::unauthorized() }))
            .route("/fhir/b", get(|| async { Problem::field("date", "must be a date") }))
            .route("/api/a", get(|| async { Problem::unauthorized() }))
            .layer(middleware::from_fn(outcomes));
        let read = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            let response = router.clone().oneshot(request).await.expect("a response");
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 4096).await.expect("a body");
            let length = parts
                .headers
                .get("content-length")
                .map(|length| length.to_str().expect("text").to_owned());
            assert!(length.is_none_or(|length| length == body.len().to_string()));
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            (parts.status.as_u16(), parts.headers, body)
        };
        let (status, headers, body) = read("/fhir/a").await;
        assert_eq!(
            (status, &body["resourceType"], &body["issue"][0]["code"]),
            (401, &json!("OperationOutcome"), &json!("login"))
        );
        assert_eq!(
            (&headers["content-type"], &headers["www-authenticate"]),
            (
                &"application/fhir+json".parse().expect("a header"),
                &"Bearer".parse().expect("a header")
            )
        );
        let (status, _, body) = read("/fhir/b").await;
        assert_eq!(status, 400);
        assert_eq!(
            body["issue"],
            json!([{"severity": "error", "code": "invalid", "diagnostics": "date: must be a date"}])
        );
        let (_, headers, _) = read("/api/a").await;
        assert_eq!(headers["content-type"], "application/problem+json");
    }
}
