//! Requests with canary values in every part.

use std::net::SocketAddr;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    canary::{BORN, MARK, canary},
    wire::{Request, Response, send_all},
};

/// The tokens of a user.
pub struct Session {
    pub bearer: String,
    pub refresh: String,
}

/// Logs in at the gateway.
pub async fn log_in(gateway: SocketAddr, email: &str, password: &str) -> Session {
    let body = json!({"email": email, "password": password}).to_string();
    let response = Request::new("POST", "/auth/login", &[], body).send(gateway).await;
    assert_eq!(response.status, 200, "{email} logs in: {}", response.text);
    let session = response.json();
    let field = |name: &str| session[name].as_str().expect("a token").to_owned();
    Session {
        bearer: format!("Bearer {}", field("token")),
        refresh: field("refreshToken"),
    }
}

/// Returns a patient with canary values in every field.
pub fn patient(suffix: &str) -> Value {
    json!({
        "name": canary(&format!("name{suffix}")),
        "email": format!("{MARK}mail{suffix}@{MARK}host.example"),
        "address": format!("1 {} Street", canary("address")),
        "dateOfBirth": BORN,
    })
}

/// Creates an account, and sends invalid logins and changes, and refresh tokens that were used before.
pub async fn accounts(gateway: SocketAddr, admin: &Session) -> (Session, Vec<Response>) {
    let (email, password) = (format!("{MARK}user@{MARK}host.example"), canary("password1"));
    let credentials = json!({"email": email, "password": password}).to_string();
    let created = Request::new("POST", "/auth/signup", &[], &credentials)
        .send(gateway)
        .await;
    assert_eq!(created.status, 201, "{}", created.text);
    let session = log_in(gateway, &email, &password).await;
    let twice = json!({"refreshToken": session.refresh}).to_string();
    let auth = [("Authorization", admin.bearer.as_str())];
    let user = format!("/auth/users/{}", created.json()["id"].as_str().unwrap_or_default());
    let invalid = [
        json!({"email": email, "password": canary("wrongpassword")}),
        json!({"email": format!("{MARK}unknown@{MARK}host.example"), "password": canary("wrongpassword")}),
        json!({"email": canary("nomail"), "password": canary("pw")}),
        json!({"email": {"nested": canary("nested")}, "password": [canary("list")]}),
        json!({"email": email, "password": canary(&"long".repeat(600))}),
        json!({canary("key"): canary("value")}),
        json!([canary("array")]),
        json!(canary("text")),
    ];
    let mut requests = Vec::new();
    for body in &invalid {
        for path in ["/auth/login", "/auth/signup", "/auth/refresh", "/auth/logout"] {
            requests.push(Request::new("POST", path, &[], body.to_string()));
        }
        requests.push(Request::new("POST", "/auth/users", &auth, body.to_string()));
        requests.push(Request::new("PATCH", &user, &auth, body.to_string()));
    }
    for body in [
        json!({"email": email, "password": canary("password2"), "role": canary("role")}),
        json!({"email": email, "password": canary("password2"), "role": "USER"}),
    ] {
        requests.push(Request::new("POST", "/auth/users", &auth, body.to_string()));
    }
    let role = json!({"role": canary("role"), "disabled": canary("flag")}).to_string();
    requests.push(Request::new("PATCH", &user, &auth, role));
    requests.push(Request::new("POST", "/auth/refresh", &[], &twice));
    requests.push(Request::new("POST", "/auth/refresh", &[], &twice));
    requests.push(Request::new("POST", "/auth/logout", &[], &twice));
    for broken in broken_bodies() {
        requests.push(Request::new("POST", "/auth/login", &[], &broken));
        requests.push(Request::new("POST", "/auth/signup", &[], &broken));
        requests.push(Request::new("PATCH", &user, &auth, &broken));
    }
    let responses = send_all(gateway, requests).await;
    // The second use of the refresh token has ended the session above.
    (log_in(gateway, &email, &password).await, responses)
}

/// Creates and changes patients and families, with duplicate addresses and each field invalid in turn.
pub async fn patients(gateway: SocketAddr, admin: &Session) -> (Uuid, Vec<Response>) {
    let auth = [("Authorization", admin.bearer.as_str())];
    let first = Request::new("POST", "/api/patients", &auth, patient("1").to_string())
        .send(gateway)
        .await;
    assert_eq!(first.status, 201, "{}", first.text);
    let second = Request::new("POST", "/api/patients", &auth, patient("2").to_string())
        .send(gateway)
        .await;
    let id = |response: &Response| response.json()["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
    let (id, other) = (id(&first).expect("an id"), id(&second).expect("an id"));
    let one = format!("/api/patients/{id}");
    let second = format!("/api/patients/{other}");
    let mut requests = vec![
        Request::new("POST", "/api/patients", &auth, patient("1").to_string()),
        Request::new("PUT", &second, &auth, patient("1").to_string()),
    ];
    let mut changed = patient("1");
    changed["name"] = canary("changed").into();
    requests.push(Request::new("PUT", &one, &auth, changed.to_string()));
    for field in ["name", "email", "address", "dateOfBirth", "registeredDate"] {
        for value in [
            json!(canary("value\u{0}nul")),
            json!(canary(&"long".repeat(300))),
            json!({canary("key"): canary("value")}),
            json!([canary("list")]),
            json!(19_170_329),
            json!(format!("{BORN}T{MARK}")),
            json!("2917-03-29"),
        ] {
            let mut body = patient("3");
            body[field] = value;
            body[canary("unknownfield")] = canary("unknownvalue").into();
            requests.push(Request::new("POST", "/api/patients", &auth, body.to_string()));
            requests.push(Request::new("PUT", &one, &auth, body.to_string()));
        }
    }
    for name in [
        json!(canary(&"long".repeat(300))),
        json!({canary("key"): 1}),
        json!(format!("{MARK}\u{0}")),
    ] {
        requests.push(Request::new(
            "POST",
            "/api/families",
            &auth,
            json!({"name": name}).to_string(),
        ));
    }
    let family = json!({"name": canary("family")}).to_string();
    requests.push(Request::new("POST", "/api/families", &auth, family));
    for broken in broken_bodies() {
        requests.push(Request::new("POST", "/api/patients", &auth, &broken));
        requests.push(Request::new("PUT", &one, &auth, &broken));
        requests.push(Request::new("POST", "/api/families", &auth, &broken));
    }
    let key = [auth[0], ("Idempotency-Key", &canary("idempotency"))];
    requests.push(Request::new("POST", "/api/patients", &key, patient("4").to_string()));
    requests.push(Request::new("POST", "/api/patients", &key, patient("5").to_string()));
    (id, send_all(gateway, requests).await)
}

/// Sends queries, paths, headers and tokens to a service or the gateway.
pub async fn inputs(address: SocketAddr, paths: &[&str], bearer: &str) -> Vec<Response> {
    let auth = [("Authorization", bearer)];
    let value = canary("query");
    let mut requests = Vec::new();
    for path in paths {
        for parameter in [
            "search",
            "sort",
            "limit",
            "cursor",
            "patientId",
            "from",
            "to",
            "bucket",
            "status",
            // A response names an unknown parameter only if it looks like a name, and not like a value.
            &format!("{}.", canary("parameter")),
        ] {
            let query = format!("{path}?{parameter}={value}%20{BORN}");
            requests.push(Request::new("GET", &query, &auth, ""));
        }
        for odd in [
            format!("{path}/{}", canary("path")),
            format!("{path}/{}%40{MARK}host.example", canary("path")),
            format!("{path}/{}/{}", Uuid::new_v4(), canary("path")),
            format!("{path}/..%2f{}", canary("path")),
            format!("{path}?%zz{}=%00{}", canary("percent"), canary("nul")),
        ] {
            requests.push(Request::new("GET", &odd, &auth, ""));
            requests.push(Request::new("DELETE", &odd, &auth, ""));
        }
        for header in headers() {
            let header = (header.0, header.1.as_str());
            requests.push(Request::new("GET", path, &[auth[0], header], ""));
            requests.push(Request::new("POST", path, &[auth[0], header], patient("6").to_string()));
        }
        for bearer in tokens(bearer) {
            requests.push(Request::new("GET", path, &[("Authorization", &bearer)], ""));
        }
        requests.push(Request::new(&canary("METHOD"), path, &auth, ""));
    }
    send_all(address, requests).await
}

/// Sends malformed HTTP.
pub async fn malformed(address: SocketAddr) -> Vec<Response> {
    let value = canary("raw");
    let requests = [
        ("no version", format!("GET /{value}\r\n\r\n")),
        ("spaces", format!("GET / {value} HTTP/1.1\r\n\r\n")),
        ("a bad version", format!("GET /{value} HTTP/9.9\r\n\r\n")),
        ("a bad header", format!("GET / HTTP/1.1\r\n{value} value\r\n\r\n")),
        (
            "a folded header",
            format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: 1\r\n {value}\r\n\r\n"),
        ),
        (
            "a bad length",
            format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {value}\r\n\r\n"),
        ),
        (
            "two lengths",
            format!(
                "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\n{value}"
            ),
        ),
        (
            "a bad chunk",
            format!(
                "POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{value}\r\n"
            ),
        ),
        (
            "a bad encoding",
            format!("POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: {value}\r\n\r\n"),
        ),
        (
            "another form",
            format!("GET http://{value}.example/{value} HTTP/1.1\r\nHost: {value}\r\nConnection: close\r\n\r\n"),
        ),
        (
            "a tunnel",
            format!("CONNECT {value}.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        ),
        (
            "a long path",
            format!(
                "GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                value.repeat(20_000)
            ),
        ),
        (
            "a large header",
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: {}\r\n\r\n",
                value.repeat(80_000)
            ),
        ),
        ("HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{value}")),
    ];
    let requests = requests.map(|(name, bytes)| Request::raw(name, bytes));
    send_all(address, requests.into()).await
}

/// Returns the headers that a service, a proxy or the gateway reads, and an unknown one.
fn headers() -> Vec<(&'static str, String)> {
    let value = canary("header");
    [
        "Accept",
        "Accept-Language",
        "Content-Type",
        "Content-Encoding",
        "Cookie",
        "Expect",
        "Forwarded",
        "Host",
        "If-Match",
        "Idempotency-Key",
        "Origin",
        "Range",
        "Referer",
        "traceparent",
        "tracestate",
        "Upgrade",
        "User-Agent",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Prefix",
        "X-Link-Secret",
        "X-Unknown",
        "X-Request-Id",
        "X-User-Email",
    ]
    .map(|name| (name, value.clone()))
    .into_iter()
    .chain([
        ("Idempotency-Key", format!("{value}\u{e9}")),
        (
            "traceparent",
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-{value}"),
        ),
        ("X-Forwarded-For", format!("{value}, 203.0.113.9")),
    ])
    .collect()
}

/// Returns invalid tokens, made from a valid one.
fn tokens(bearer: &str) -> Vec<String> {
    let token = bearer.trim_start_matches("Bearer ");
    let mut parts = token.split('.');
    let (head, claims, signature) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let value = canary("token");
    vec![
        format!("Bearer {value}"),
        format!("Bearer {value}.{value}.{value}"),
        format!("Basic {value}"),
        value,
        format!("Bearer {head}.{claims}."),
        format!("Bearer {head}.{claims}x.{signature}"),
        format!(
            "Bearer {head}.{claims}.{}AAA",
            signature.get(..signature.len() - 3).unwrap_or_default()
        ),
        format!("Bearer eyJhbGciOiJub25lIn0.{claims}."),
        format!("Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6InF6eHZraWQifQ.{claims}.{signature}"),
    ]
}

/// Returns bodies that are not JSON, or not the expected JSON.
fn broken_bodies() -> Vec<Vec<u8>> {
    let value = canary("json");
    vec![
        format!(r#"{{"name": "{value}"#).into_bytes(),
        format!(r#"{{"name": {value}}}"#).into_bytes(),
        format!(r#"{{"{value}"}}"#).into_bytes(),
        format!(r#"{{"{value}": 1, "{value}": 2}}"#).into_bytes(),
        format!(r#"{{"name": "a"}} {value}"#).into_bytes(),
        format!(r#"{{"name": "\ud800{value}"}}"#).into_bytes(),
        format!(r#"{}"{value}"{}"#, "[".repeat(200), "]".repeat(200)).into_bytes(),
        [value.as_bytes(), b"\xff\xfe"].concat(),
        [br#"{"name": ""#, value.as_bytes(), b"\xff\"}"].concat(),
        format!(r#""{value}""#).into_bytes(),
        format!("{{\"x\":\"{}\"}}", value.repeat(200_000)).into_bytes(),
    ]
}
