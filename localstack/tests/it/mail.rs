//! Mail: what is sent through the API of Amazon SES or over SMTP is in the mailbox.

use std::net::Ipv4Addr;

use axum::Router;
use axum::body::{Body, to_bytes};
use embedded_endpoint::{Behavior, server};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::endpoint::{Endpoint, authorization};

const OUTBOUND: &str = "/v2/email/outbound-emails";

async fn send(router: &Router, request: http::request::Builder, body: String) -> (StatusCode, String, Value) {
    let request: Request<Body> = request.body(Body::from(body)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let kind = response.headers().get("x-amzn-errortype");
    let kind = kind.map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, serde_json::from_slice(&body).unwrap_or_default())
}

/// Calls Amazon SES, and returns the status, the code of an error and the response.
async fn ses(router: &Router, method: &str, path: &str, input: Value) -> (StatusCode, String, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:4566")
        .header("authorization", authorization("ses"))
        .header("content-type", "application/json");
    send(router, request, input.to_string()).await
}

async fn mailbox(router: &Router, query: &str) -> Vec<Value> {
    let uri = format!("/_deployer/mail{query}");
    let request = Request::get(uri).header("host", "localhost:4566");
    let (status, _, list) = send(router, request, String::new()).await;
    assert_eq!(status, StatusCode::OK, "{list}");
    list.as_array().cloned().unwrap()
}

fn simple() -> Value {
    json!({
        "FromEmailAddress": "=?UTF-8?B?Wm/DqydzIFByYXhpcw==?= <clinic@example.org>",
        "Destination": {"ToAddresses": ["Ada <ada@example.org>"]},
        "Content": {"Simple": {
            "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
            "Body": {"Text": {"Data": "Dear Ada,\nwelcome.\n"}},
            "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
        }},
    })
}

#[tokio::test]
async fn mail_sent_through_the_api_is_in_the_mailbox_until_it_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 91, Behavior::default()).await;
    let router = server::router(endpoint.cx.clone());
    let (status, _, sent) = ses(&router, "POST", OUTBOUND, simple()).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    let raw = "RnJvbTogY2xpbmljQGV4YW1wbGUub3JnDQpUbzogYm9iQGV4YW1wbGUub3JnDQpTdWJqZWN0OiBSYXcNCg0KQm9keQ0K";
    let raw = json!({"Content": {"Raw": {"Data": raw}}});
    assert_eq!(ses(&router, "POST", OUTBOUND, raw).await.0, StatusCode::OK);

    let all = mailbox(&router, "").await;
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&all[0]["id"], &all[0]["to"], &all[0]["subject"], &all[0]["text"]),
        (
            &sent["MessageId"],
            &json!(["ada@example.org"]),
            &json!("Grüße"),
            &json!("Dear Ada,\nwelcome.\n")
        )
    );
    assert_eq!(all[0]["from"], "Zoë's Praxis <clinic@example.org>");
    let bob = mailbox(&router, "?to=BOB@example.org").await;
    assert_eq!(
        (bob.len(), &bob[0]["subject"], &bob[0]["text"]),
        (1, &json!("Raw"), &json!("Body\n"))
    );

    let foreign = Request::get("/_deployer/mail").header("host", "attacker.example");
    assert_eq!(send(&router, foreign, String::new()).await.0, StatusCode::FORBIDDEN);
    let page = Request::get("/_deployer/mail")
        .header("host", "localhost:4566")
        .header("origin", "http://a.example");
    assert_eq!(send(&router, page, String::new()).await.0, StatusCode::FORBIDDEN);
    let clear = Request::delete("/_deployer/mail").header("host", "localhost:4566");
    assert_eq!(send(&router, clear, String::new()).await.0, StatusCode::NO_CONTENT);
    assert!(mailbox(&router, "").await.is_empty());
    endpoint.stop().await;
}

#[tokio::test]
async fn the_api_refuses_what_amazon_ses_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 92, Behavior::default()).await;
    let router = server::router(endpoint.cx.clone());
    let replaced = |pointer: &str, value: Value| {
        let mut input = simple();
        *input.pointer_mut(pointer).unwrap() = value;
        input
    };
    for input in [
        json!({}),
        replaced("/FromEmailAddress", json!("")),
        replaced("/Destination", json!({})),
        replaced("/Destination/ToAddresses", json!(["ada"])),
        replaced("/Destination/ToAddresses", json!(["a b@example.org"])),
        replaced("/Destination/ToAddresses", json!(vec!["ada@example.org"; 51])),
        replaced("/Content", json!({"Simple": {}, "Raw": {}})),
        replaced("/Content", json!({"Raw": {"Data": "?"}})),
        replaced("/Content/Simple/Body", json!({})),
        replaced("/Content/Simple/Headers/0/Value", json!("a\r\nBcc: all@example.org")),
    ] {
        let (status, kind, body) = ses(&router, "POST", OUTBOUND, input).await;
        assert_eq!(
            (status, kind.as_str()),
            (StatusCode::BAD_REQUEST, "BadRequestException"),
            "{body}"
        );
    }
    assert!(mailbox(&router, "").await.is_empty());
    let (status, kind, body) = ses(&router, "POST", "/v2/email/identities", json!({})).await;
    assert_eq!((status, kind.as_str()), (StatusCode::NOT_IMPLEMENTED, "NotImplemented"));
    assert!(
        body["message"].as_str().unwrap().contains("/v2/email/identities"),
        "{body}"
    );
    let (_, _, account) = ses(&router, "GET", "/v2/email/account", json!({})).await;
    assert_eq!(account["SendingEnabled"], true);
    endpoint.stop().await;
}

#[tokio::test]
async fn mail_sent_over_smtp_is_in_the_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 93, Behavior::default()).await;
    let router = server::router(endpoint.cx.clone());
    let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::new(127, 93, 4, 1), 1025)).await.unwrap());
    let mut codes = Vec::new();
    for command in [
        "",
        "EHLO localhost",
        "DATA",
        "MAIL FROM:<clinic@example.org> BODY=8BITMIME",
        "RCPT TO:<ada@example.org>",
        "RCPT TO:<>",
        "DATA",
        "From: Clinic <clinic@example.org>\r\nSubject: Welcome\r\n\r\n..hidden point\r\n.",
        "GET / HTTP/1.1",
    ] {
        if !command.is_empty() {
            stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        }
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap() > 0 && line.as_bytes().get(3) == Some(&b'-') {
            line.clear();
        }
        codes.push(line[..3].to_owned());
    }
    assert_eq!(codes, ["220", "250", "503", "250", "250", "501", "354", "250", "500"]);
    assert_eq!(
        stream.read_line(&mut String::new()).await.unwrap(),
        0,
        "the connection is closed"
    );
    let mails = mailbox(&router, "?to=ada@example.org").await;
    assert_eq!((mails.len(), &mails[0]["text"]), (1, &json!(".hidden point\n")));
    endpoint.stop().await;
}
