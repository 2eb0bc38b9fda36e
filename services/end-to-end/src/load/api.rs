//! The client side of the public API.

use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long an answer may take; the gateway gives up well before.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone)]
pub struct Login {
    /// The account's email address.
    pub email: String,
    /// Its password.
    pub password: SecretString,
}

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An answer of another status than the one that was expected.
    Status(u16),
    /// No answer: refused, reset, or closed before it was whole.
    Connection(String),
    /// No answer in time.
    Timeout,
    /// An answer that is not what the API promises.
    Shape(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(status) => write!(f, "{status}"),
            Fault::Connection(reason) => write!(f, "no answer: {reason}"),
            Fault::Timeout => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Fault::Shape(what) => write!(f, "{what}"),
        }
    }
}

pub(super) struct Api {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
    login: Login,
    session: Mutex<Session>,
}

struct Session {
    bearer: HeaderValue,
    renew_at: Instant,
}

impl Api {
    /// Opens a session.
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
            anyhow::anyhow!("the login at {base} fails: {fault}; is the system up, and are email and password right?")
        })?;
        Ok(Api {
            http,
            base,
            login,
            session: Mutex::new(session),
        })
    }

    /// Logs in once more, for the sake of it.
    pub(super) async fn log_in_again(&self) -> Result<(), Fault> {
        open(&self.http, &self.base, &self.login).await.map(drop)
    }

    /// Sends a request with the session's token, and gives the body of the answer that was expected.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
        expected: StatusCode,
    ) -> Result<Bytes, Fault> {
        let bearer = self.bearer().await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, bearer);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        send(&self.http, request, body, expected).await
    }

    /// The token, renewed by a login well before it ends.
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
    session(&body).ok_or(Fault::Shape("a login that gives no token"))
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
        .context("a request that cannot be written")
        .map_err(|error| Fault::Connection(error.to_string()))?;
    let answered = timeout(PATIENCE, async {
        let response = http.request(request).await.map_err(|error| lost(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| lost(&error))?;
        Ok((status, body.to_bytes()))
    });
    match answered.await.map_err(|_| Fault::Timeout)?? {
        (status, body) if status == expected => Ok(body),
        (status, _) => Err(Fault::Status(status.as_u16())),
    }
}

/// The innermost cause, which is the one that tells refused from reset.
fn lost(error: &dyn std::error::Error) -> Fault {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Fault::Connection(cause.to_string())
}
