//! SMTP (RFC 5321) into the mailbox: every sender and recipient is accepted, and nothing is relayed.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::mailbox::{Mailbox, Message};
use super::mime;
use crate::Context;

/// Maximum number of connections at the same time.
const MAX_CONNECTIONS: usize = 32;
/// Maximum size of a message, in bytes.
const MAX_SIZE: usize = 10 << 20;
/// Maximum length of a line, in bytes; RFC 5321 demands at least 1000.
const MAX_LINE: usize = 64 << 10;
const MAX_RECIPIENTS: usize = 100;
/// Timeout of a line.
const LINE_TIMEOUT: Duration = Duration::from_mins(1);

/// Accepts connections until the endpoint stops.
pub(super) async fn serve(cx: Context, listener: TcpListener) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = cx.shutdown().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            continue;
        };
        let cx = cx.clone();
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = cx.shutdown().cancelled() => {}
                // A client that breaks the connection is no error of the endpoint.
                _ = session(&cx, stream) => {}
            }
        });
    }
}

#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

async fn session(cx: &Context, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut envelope = Envelope::default();
    stream.write_all(b"220 localhost ESMTP embedded endpoint\r\n").await?;
    while let Some(line) = line(&mut stream).await? {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        let (verb, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let response = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                envelope = Envelope::default();
                format!("250-localhost\r\n250-SIZE {MAX_SIZE}\r\n250-8BITMIME\r\n250 SMTPUTF8")
            }
            "HELO" => {
                envelope = Envelope::default();
                "250 localhost".to_owned()
            }
            "MAIL" => match path(rest, "FROM:") {
                Some(from) => {
                    envelope = Envelope {
                        from: Some(from),
                        to: Vec::new(),
                    };
                    "250 OK".to_owned()
                }
                None => "501 expected MAIL FROM:<address>".to_owned(),
            },
            "RCPT" if envelope.from.is_none() => "503 expected MAIL".to_owned(),
            "RCPT" if envelope.to.len() == MAX_RECIPIENTS => "452 too many recipients".to_owned(),
            "RCPT" => match path(rest, "TO:").filter(|to| to.contains('@')) {
                Some(to) => {
                    envelope.to.push(to);
                    "250 OK".to_owned()
                }
                None => "501 expected RCPT TO:<address>".to_owned(),
            },
            "DATA" if envelope.to.is_empty() => "503 expected RCPT".to_owned(),
            "DATA" => {
                stream.write_all(b"354 end with a line of one point\r\n").await?;
                if let Some(data) = data(&mut stream).await? {
                    accept(cx, std::mem::take(&mut envelope), &data)
                } else {
                    envelope = Envelope::default();
                    "552 the message is too large".to_owned()
                }
            }
            "RSET" => {
                envelope = Envelope::default();
                "250 OK".to_owned()
            }
            "NOOP" => "250 OK".to_owned(),
            "VRFY" => "252 not verified".to_owned(),
            "QUIT" => {
                return stream.write_all(b"221 closing\r\n").await;
            }
            // A web page can send an HTTP request here, whose body may look like SMTP.
            _ => return stream.write_all(b"500 unknown command, closing\r\n").await,
        };
        stream.write_all(format!("{response}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// Adds the message to the mailbox, and returns the response.
fn accept(cx: &Context, envelope: Envelope, data: &[u8]) -> String {
    let parsed = mime::parse(data);
    let id = uuid::Uuid::new_v4().to_string();
    cx.shared::<Mailbox>().add(Message {
        id: id.clone(),
        from: parsed
            .from
            .map_or_else(|| envelope.from.unwrap_or_default(), |from| mime::decode_words(&from)),
        to: envelope.to,
        subject: parsed.subject,
        time: OffsetDateTime::now_utc(),
        text: parsed.text,
    });
    format!("250 OK {id}")
}

/// Returns the address of `FROM:<address>`, without the parameters behind it.
fn path(text: &str, keyword: &str) -> Option<String> {
    let head = text.get(..keyword.len())?;
    let rest = text[keyword.len()..].trim_start();
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    head.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}

/// Reads a message until the line of one point; `None` if it is too large.
async fn data<R: AsyncBufRead + Unpin>(stream: &mut R) -> std::io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    let mut is_too_large = false;
    loop {
        let Some(line) = line(stream).await? else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        if line == b".\r\n" || line == b".\n" {
            return Ok((!is_too_large).then_some(data));
        }
        is_too_large |= data.len() + line.len() > MAX_SIZE;
        if !is_too_large {
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}

/// Reads a line with its end; `None` at the end of the stream, and an error if it is too long or slow.
async fn line<R: AsyncBufRead + Unpin>(stream: &mut R) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = stream.take(MAX_LINE as u64);
    let read = timeout(LINE_TIMEOUT, limited.read_until(b'\n', &mut line)).await??;
    match line.last() {
        _ if read == 0 => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}
