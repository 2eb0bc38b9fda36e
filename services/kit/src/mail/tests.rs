//! Mailers against servers of the test.

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, response::IntoResponse, routing::post};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use uuid::Uuid;

use super::{Mail, MailArgs, MailError, Transport};
use crate::aws::IamArgs;

fn mail(to: &str) -> Mail {
    Mail {
        message_id: Uuid::from_u128(7),
        to: to.to_owned(),
        subject: "Grüße\r\nBcc: all@example.org".to_owned(),
        body: "Dear Zoë,\n.\nwelcome.\n".to_owned(),
    }
}

/// Starts an SMTP server for one connection: it responds to each command with the code of the first matching prefix, otherwise
/// 250. Returns its port, and what it was sent.
async fn smtp_server(codes: &'static [(&'static str, &'static str)]) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let received = Arc::new(Mutex::new(String::new()));
    let log = received.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut stream = BufReader::new(stream);
        let code = |line: &str, default| {
            let found = codes.iter().find(|(prefix, _)| line.starts_with(prefix));
            found.map_or(default, |(_, code)| *code)
        };
        let greeting = format!("{} ready\r\n", code("greeting", "220"));
        stream.write_all(greeting.as_bytes()).await.expect("a greeting");
        let mut is_data = false;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            log.lock().push_str(&line);
            let response = match line.trim_end() {
                "." if is_data => {
                    is_data = false;
                    code("end", "250")
                }
                _ if is_data => continue,
                "DATA" => {
                    is_data = true;
                    "354"
                }
                command => code(command, "250"),
            };
            let response = format!("{response} about ada@example.org\r\n");
            if stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    (port, received)
}

async fn send_smtp(port: u16, options: &str, to: &str) -> Result<(), MailError> {
    let args = MailArgs {
        from: Some("Zoë's Praxis <clinic@example.org>".to_owned()),
        smtp_url: Some(format!("smtp://127.0.0.1:{port}{options}").into()),
        ..MailArgs::default()
    };
    let mailer = args.mailer().expect("valid settings").expect("a transport");
    assert_eq!(mailer.transport(), "smtp");
    mailer.send(&mail(to)).await
}

#[tokio::test]
async fn a_message_over_smtp_has_the_headers_of_an_automatic_one_and_no_forged_one() {
    let (port, received) = smtp_server(&[]).await;
    send_smtp(port, "", "ada@bücher.example")
        .await
        .expect("a server that takes it");
    let received = received.lock().clone();
    for line in [
        "MAIL FROM:<clinic@example.org>",
        "RCPT TO:<ada@xn--bcher-kva.example>",
        "Message-ID: <00000000-0000-0000-0000-000000000007@example.org>",
        "Auto-Submitted: auto-generated",
        "To: ada@xn--bcher-kva.example",
    ] {
        assert!(
            received.lines().any(|found| found.starts_with(line)),
            "{line} in {received}"
        );
    }
    assert!(received.lines().any(|line| line.starts_with("Date: ")), "{received}");
    assert!(!received.lines().any(|line| line.starts_with("Bcc:")), "{received}");
    assert_eq!(received.lines().filter(|line| *line == ".").count(), 1, "{received}");
}

/// The answers of a mail server that differ from 250, by the command.
type Answers = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn an_error_of_smtp_is_permanent_only_if_it_is_of_the_message() {
    let cases: [(Answers, &str, bool); 7] = [
        (&[("RCPT", "550")], "", true),
        (&[("end", "554")], "", true),
        (&[("RCPT", "451")], "", false),
        (&[("end", "452")], "", false),
        (&[("greeting", "554")], "", false),
        (&[("EHLO", "502")], "", false),
        (&[], "?tls=required", false),
    ];
    for (codes, options, is_permanent) in cases {
        let (port, _) = smtp_server(codes).await;
        let error = send_smtp(port, options, "ada@example.org").await.expect_err("an error");
        assert_eq!(error.is_permanent(), is_permanent, "{codes:?} {options}: {error}");
        assert!(!error.to_string().contains("ada"), "{error}");
    }
    let unused = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = unused.local_addr().expect("an address").port();
    drop(unused);
    let error = send_smtp(port, "", "ada@example.org").await.expect_err("an error");
    assert!(!error.is_permanent(), "{error}");
}

type Requests = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// Starts an SES that responds with this error, otherwise with success.
async fn ses_server(error: Option<(StatusCode, &'static str, &'static str)>) -> (String, Requests) {
    let requests = Requests::default();
    let respond = move |State(requests): State<Requests>, headers: HeaderMap, body: Bytes| async move {
        let body = serde_json::from_slice(&body).expect("JSON");
        requests.lock().push((headers, body));
        match error {
            Some((status, kind, message)) => {
                let body = serde_json::json!({ "message": message }).to_string();
                (status, [("x-amzn-errortype", kind)], body).into_response()
            }
            None => (StatusCode::OK, r#"{"MessageId":"1"}"#).into_response(),
        }
    };
    let router = Router::new()
        .route("/v2/email/outbound-emails", post(respond))
        .with_state(requests.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, requests)
}

async fn send_ses(url: &str) -> Result<(), MailError> {
    let args = MailArgs {
        transport: Some(Transport::Ses),
        from: Some("Zoë's Praxis <clinic@example.org>".to_owned()),
        iam: IamArgs {
            region: Some("eu-central-1".into()),
            access_key_id: Some("AKIDEXAMPLE".into()),
            secret_access_key: Some("secret".into()),
            session_token: Some("session".into()),
            endpoint_url: Some("http://127.0.0.1:9".into()),
            ses_url: Some(url.to_owned()),
            ..IamArgs::default()
        },
        ..MailArgs::default()
    };
    let mailer = args.mailer().expect("valid settings").expect("a transport");
    assert_eq!(mailer.transport(), "ses");
    mailer.send(&mail("ada@bücher.example")).await
}

#[tokio::test]
async fn a_message_through_ses_is_a_signed_send_email() {
    let (url, requests) = ses_server(None).await;
    send_ses(&url).await.expect("a server that takes it");
    let requests = requests.lock().clone();
    let [(headers, body)] = &requests[..] else {
        panic!("{} requests", requests.len())
    };
    let authorization = headers["authorization"].to_str().expect("text");
    assert!(
        authorization.contains("/eu-central-1/ses/aws4_request"),
        "{authorization}"
    );
    assert!(
        authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"),
        "{authorization}"
    );
    assert_eq!(
        body["FromEmailAddress"],
        "=?UTF-8?B?Wm/DqydzIFByYXhpcw==?= <clinic@example.org>"
    );
    assert_eq!(
        body["Destination"],
        serde_json::json!({"ToAddresses": ["ada@xn--bcher-kva.example"]})
    );
    let content = &body["Content"]["Simple"];
    assert_eq!(content["Subject"]["Data"], "Grüße  Bcc: all@example.org");
    assert_eq!(content["Body"]["Text"]["Data"], "Dear Zoë,\n.\nwelcome.\n");
}

#[tokio::test]
async fn an_error_of_ses_is_permanent_only_if_it_is_of_the_message() {
    let bad = StatusCode::BAD_REQUEST;
    for (error, is_permanent) in [
        ((bad, "MessageRejected", "ada@example.org is bad"), true),
        ((bad, "BadRequestException:http://x", "ada@example.org"), true),
        (
            (bad, "MessageRejected", "Email address is not verified: ada@example.org"),
            false,
        ),
        ((bad, "SendingPausedException", ""), false),
        ((StatusCode::FORBIDDEN, "AccessDeniedException", ""), false),
        ((StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", ""), false),
        ((StatusCode::INTERNAL_SERVER_ERROR, "", ""), false),
    ] {
        let (url, _) = ses_server(Some(error)).await;
        let found = send_ses(&url).await.expect_err("an error");
        assert_eq!(found.is_permanent(), is_permanent, "{error:?}: {found}");
        assert!(!found.to_string().contains("ada"), "{found}");
    }
    assert!(
        !send_ses("http://127.0.0.1:9")
            .await
            .expect_err("an error")
            .is_permanent()
    );
}
