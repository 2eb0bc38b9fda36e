//! An AWS endpoint that answers as a test says: what the embedded one cannot be made to do.

use std::sync::Arc;

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::capabilities::Identity;
use super::credentials::Source;
use super::{Aws, Clock, Session, clients};
use crate::cli::Cli;
use ui::Ui;

pub mod story;

/// A request, as far as a test cares.
pub struct Call {
    /// `DescribeStacks`.
    pub operation: String,
    pub method: String,
    pub body: String,
    /// `/v2/NAME/manifests/TAG`.
    pub path: String,
    /// The access key that it was signed with.
    pub key: String,
}

impl Call {
    /// A field of a query request, such as `StackName`; empty when it has none.
    pub fn field(&self, name: &str) -> String {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

/// What to answer to a call: status and text; `None` breaks the connection off.
type Answer = dyn Fn(&Call) -> Option<(u16, String)> + Send + Sync;

/// The error of a query service.
pub fn refusal(status: u16, code: &str, message: &str) -> Option<(u16, String)> {
    let text = format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>");
    Some((status, text))
}

/// Listens on a port of its own until it is dropped.
pub struct Scripted {
    url: String,
    work: tokio::task::JoinHandle<()>,
}

impl Scripted {
    /// Answers to an operation with this body.
    pub async fn start(answer: impl Fn(&str, &str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        Self::hear(move |call| answer(&call.operation, &call.body)).await
    }

    /// Answers to all that a call tells.
    pub async fn hear(answer: impl Fn(&Call) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answer: Arc<Answer> = Arc::new(answer);
        let work = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone()));
            }
        });
        Self {
            url: format!("http://{address}"),
            work,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Clients that talk to it.
    pub async fn aws(&self, ui: &Ui) -> Aws {
        let cli = Cli::parse_from(["deployer", "--endpoint-url", &self.url, "status"]);
        Session::new(cli.common, ui.clone())
            .connect()
            .await
            .expect("it answers")
    }

    /// Clients that talk to it as they do to AWS, by this clock and with these credentials. The region is one of its own,
    /// since the SDK slows down all clients of a service and region together.
    pub async fn as_aws(&self, ui: &Ui, clock: Clock, source: Source) -> Aws {
        let region = format!("us-test-{}", self.url.rsplit(':').next().unwrap_or_default());
        let options = ["--target", "aws", "--region", &region, "--endpoint-url", &self.url];
        let cli = Cli::parse_from(["deployer"].into_iter().chain(options).chain(["status"]));
        clients::connect(
            &Session::new(cli.common, ui.clone()),
            Identity::aws(),
            clock,
            Some(source),
        )
        .await
        .expect("there are credentials")
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Answers one request.
async fn serve(mut stream: TcpStream, answer: Arc<Answer>) {
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), body.as_bytes().to_vec());
        }
    };
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length && stream.read_buf(&mut body).await.unwrap_or(0) > 0 {}
    let body = String::from_utf8_lossy(&body).into_owned();
    let health = head.starts_with("GET /_localstack/health");
    let operation = match header("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => url::form_urlencoded::parse(body.as_bytes())
            .find(|(key, _)| key == "Action")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default(),
    };
    let answered = if health {
        Some((200, r#"{"services":{},"edition":"embedded"}"#.to_owned()))
    } else {
        let signed = header("authorization").unwrap_or_default();
        let key = signed
            .split_once("Credential=")
            .and_then(|(_, rest)| rest.split_once('/'));
        let key = key.map_or_else(String::new, |(key, _)| key.to_owned());
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        answer(&Call {
            operation,
            method,
            body,
            path,
            key,
        })
    };
    if let Some((status, text)) = answered {
        let length = text.len();
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
