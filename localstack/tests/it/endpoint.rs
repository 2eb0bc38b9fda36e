//! An endpoint with all services in this process, called over its HTTP interface.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use embedded_endpoint::{Behavior, Config, Context, server};
use http::{Request, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

pub struct Endpoint {
    pub cx: Context,
    router: Router,
    /// The region that requests are signed for.
    region: &'static str,
}

/// A response: `Ok` for a success, `Err` with the code of an error.
pub type Answer = Result<String, String>;

/// An operation, its parameters, and the code of the error that it ends with; `None` for success.
pub type ExpectedCall<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);

impl Endpoint {
    /// Starts an endpoint on 127.`octet`.0.0/16 with the state in `folder`, waiting for an earlier one to release it.
    pub async fn start(folder: &TempDir, octet: u8, behavior: Behavior) -> Self {
        embedded_endpoint::wire::panic_at_unknown_members();
        let config = Config {
            port: 0,
            state_dir: folder.path().join("state"),
            loopback_octet: octet,
            region: "us-east-1".into(),
            broker: None,
            behavior,
        };
        let mut attempts = 0;
        let cx = loop {
            match server::assemble(config.clone()) {
                Ok(cx) => break cx,
                Err(error) => assert!(attempts < 100, "{error:#}"),
            }
            attempts += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        cx.start().await.unwrap();
        let router = server::router(cx.clone());
        Self {
            cx,
            router,
            region: "us-east-1",
        }
    }

    /// Returns a client of the same endpoint for another region.
    pub fn in_region(&self, region: &'static str) -> Self {
        Self {
            cx: self.cx.clone(),
            router: self.router.clone(),
            region,
        }
    }

    /// Stops the processes and keeps the state.
    pub async fn stop(self) {
        self.cx.shutdown().cancel();
        self.cx.stop().await;
    }

    /// Calls operations in order, and checks how each ends. `service` is its signing name and the version of its API.
    pub async fn expect(&self, service: (&str, &str), calls: &[ExpectedCall<'_>]) {
        for (action, parameters, code) in calls {
            let answer = self.action(service, action, parameters).await;
            let found = answer.as_ref().err().map(String::as_str);
            assert_eq!(found, *code, "{action} {parameters:?}");
        }
    }

    /// Returns the text of an element in the answer of a call that must succeed.
    pub async fn get(&self, service: (&str, &str), action: &str, parameters: &[(&str, &str)], name: &str) -> String {
        let answer = self.action(service, action, parameters).await;
        let answer = answer.unwrap_or_else(|code| panic!("{action} {parameters:?}: {code}"));
        element(&answer, name).unwrap_or_default().to_owned()
    }

    /// Calls an operation of the query protocol.
    pub async fn action(&self, service: (&str, &str), action: &str, parameters: &[(&str, &str)]) -> Answer {
        let all = [&[("Action", action)], parameters].concat();
        self.query(service.0, service.1, &all).await
    }

    /// Sends a request of the query protocol.
    pub async fn query(&self, service: &str, version: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Version", version).extend_pairs(parameters);
        let request = Request::post("/")
            .header("host", "localhost:4566")
            .header("authorization", authorization_in(service, self.region))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.finish()))
            .unwrap();
        let (status, body) = self.send(request).await;
        if status.is_success() {
            return Ok(body);
        }
        Err(element(&body, "Code").unwrap_or_default().to_owned())
    }

    pub async fn rds(&self, parameters: &[(&str, &str)]) -> Answer {
        self.query("rds", "2014-10-31", parameters).await
    }

    pub async fn cloudformation(&self, parameters: &[(&str, &str)]) -> Answer {
        self.query("cloudformation", "2010-05-15", parameters).await
    }

    /// Sends a request of awsJson 1.1 and returns the response, or the code of the error.
    pub async fn json(&self, service: &str, target: &str, input: Value) -> Result<Value, String> {
        let request = Request::post("/")
            .header("host", "localhost:4566")
            .header("authorization", authorization_in(service, self.region))
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .body(Body::from(input.to_string()))
            .unwrap();
        let (status, body) = self.send(request).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        if status.is_success() {
            return Ok(body);
        }
        let code = body["__type"].as_str().unwrap_or_default();
        Err(code.rsplit('#').next().unwrap_or_default().to_owned())
    }

    /// Sends a `PUT`, as to S3 or to the URL of a wait condition handle.
    pub async fn put(&self, path: &str, body: String) -> StatusCode {
        let request = Request::put(path)
            .header("host", "localhost:4566")
            .header("authorization", authorization("s3"))
            .body(Body::from(body))
            .unwrap();
        self.send(request).await.0
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Asks the registry of images for the tags of a repository, with a token of `GetAuthorizationToken` or without.
    pub async fn tags(&self, repository: &str, token: Option<&str>) -> StatusCode {
        let mut request = Request::get(format!("/v2/{repository}/tags/list")).header("host", "localhost:4566");
        if let Some(token) = token {
            request = request.header("authorization", format!("Basic {token}"));
        }
        self.send(request.body(Body::empty()).unwrap()).await.0
    }

    /// Waits until no operation runs on a stack, and returns its status.
    pub async fn stack_status(&self, stack: &str) -> String {
        for _ in 0..600 {
            let Ok(body) = self
                .cloudformation(&[("Action", "DescribeStacks"), ("StackName", stack)])
                .await
            else {
                return "DELETED".into();
            };
            let status = element(&body, "StackStatus").unwrap();
            if !status.ends_with("_IN_PROGRESS") {
                return status.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the stack {stack} did not become stable");
    }
}

/// Returns a header with the credential scope of a service; the endpoint checks no signature.
pub fn authorization(service: &str) -> String {
    authorization_in(service, "us-east-1")
}

fn authorization_in(service: &str, region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// Returns the text of the first element with this name.
pub fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0)
}
