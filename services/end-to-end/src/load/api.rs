//! Client of the public API.

use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kit::{testing::TraceParent, trace};
use parking_lot::Mutex as SyncMutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// Time limit of a response; the gateway's own limit is well below.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials of the load's user.
#[derive(Clone)]
pub struct Login {
    /// The account's email address.
    pub email: String,
    /// Its password.
    pub password: SecretString,
}

/// Reason for a failed request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A response with another status than the expected one.
    Status(u16),
    /// No response: refused, reset, or closed before it was complete.
    Connection(String),
    /// No response in time.
    Timeout,
    /// A response that violates the API's contract.
    Shape(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(status) => write!(f, "{status}"),
            Fault::Connection(reason) => write!(f, "no response: {reason}"),
            Fault::Timeout => write!(f, "no response within {} s", TIMEOUT.as_secs()),
            Fault::Shape(what) => write!(f, "{what}"),
        }
    }
}

pub(super) struct Api {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
    login: Login,
    session: Mutex<Session>,
    /// Traces of the requests about patients that were answered.
    answered: SyncMutex<Vec<u128>>,
}

struct Session {
    bearer: HeaderValue,
    renew_at: Instant,
}

impl Api {
    /// Logs in and returns a client with the session.
    pub(super) async fn log_in(base: &Uri, login: Login) -> anyhow::Result<Api> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        let (Some("http"), Some(authority)) = (base.scheme_str(), base.authority()) else {
            bail!("`{base}` is not an address of the form http://host:port");
        };
        let base = format!("http://{authority}");
        let session = open(&http, &base, &login).await.map_err(|fault| {
            anyhow::anyhow!("the login at {base} failed: {fault}; check that the system is running, and LOAD_EMAIL and LOAD_PASSWORD")
        })?;
        Ok(Api {
            http,
            base,
            login,
            session: Mutex::new(session),
            answered: SyncMutex::default(),
        })
    }

    /// Logs in again and discards the session.
    pub(super) async fn log_in_again(&self) -> Result<(), Fault> {
        open(&self.http, &self.base, &self.login).await.map(drop)
    }

    /// Sends a request with the session's token, and returns the body of the expected response.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
        expected: StatusCode,
    ) -> Result<Bytes, Fault> {
        let bearer = self.bearer().await?;
        let trace = TraceParent::random();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, bearer)
            .header(trace::HEADER, trace.to_string());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = send(&self.http, request, body, expected).await?;
        if path.starts_with("/api/patients") {
            self.answered.lock().extend(u128::from_str_radix(&trace.trace_id, 16));
        }
        Ok(response)
    }

    /// Returns the traces of the requests about patients that were answered so far, as 32 hexadecimal digits.
    pub(super) fn answered(&self) -> Vec<String> {
        let traces = self.answered.lock();
        traces.iter().map(|trace| format!("{trace:032x}")).collect()
    }

    /// Returns the token, which a login renews well before it expires.
    async fn bearer(&self) -> Result<HeaderValue, Fault> {
        let mut session = self.session.lock().await;
        if Instant::now() >= session.renew_at {
            *session = open(&self.http, &self.base, &self.login).await?;
        }
        Ok(session.bearer.clone())
    }
}

async fn open(http: &Client<HttpConnector, Full<Bytes>>, base: &str, login: &Login) -> Result<Session, Fault> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{base}/auth/login"));
    let credentials = json!({"email": login.email, "password": login.password.expose_secret()});
    let body = send(http, request, Some(&credentials), StatusCode::OK).await?;
    session(&body).ok_or(Fault::Shape("a login without a token"))
}

fn session(body: &[u8]) -> Option<Session> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", body["token"].as_str()?)).ok()?;
    bearer.set_sensitive(true);
    let lifetime = Duration::from_secs(body["expiresIn"].as_u64()?);
    Some(Session {
        bearer,
        renew_at: Instant::now() + lifetime / 2,
    })
}

async fn send(
    http: &Client<HttpConnector, Full<Bytes>>,
    request: http::request::Builder,
    body: Option<&Value>,
    expected: StatusCode,
) -> Result<Bytes, Fault> {
    let request = match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string())),
        None => request.body(Full::default()),
    };
    let request = request
        .context("an invalid request")
        .map_err(|error| Fault::Connection(error.to_string()))?;
    let exchange = timeout(TIMEOUT, async {
        let response = http.request(request).await.map_err(|error| connection_error(&error))?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| connection_error(&error))?;
        Ok((status, body.to_bytes()))
    });
    match exchange.await.map_err(|_| Fault::Timeout)?? {
        (status, body) if status == expected => Ok(body),
        (status, _) => Err(Fault::Status(status.as_u16())),
    }
}

/// Returns the innermost cause, which distinguishes refused from reset.
fn connection_error(error: &dyn std::error::Error) -> Fault {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Fault::Connection(cause.to_string())
}
