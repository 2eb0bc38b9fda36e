//! A mail server for the services of a test.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An SMTP server on loopback, which takes every message; dropping it closes its port.
#[derive(Debug)]
pub struct MailServer {
    port: u16,
    message_ids: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl MailServer {
    /// Starts a server.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let message_ids = Arc::<Mutex<Vec<String>>>::default();
        let taken = message_ids.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = taken.clone();
                // A client that is killed breaks its connection.
                tokio::spawn(async move { session(stream, &taken).await.ok() });
            }
        });
        Self {
            port,
            message_ids,
            task,
        }
    }

    /// Returns the address for `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Returns the `Message-ID` of each message that was taken, without what follows the `@`.
    pub fn message_ids(&self) -> Vec<String> {
        self.message_ids.lock().clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Speaks SMTP (RFC 5321) with one client. A message is taken before the server says so, as by a server that stores it.
async fn session(stream: TcpStream, taken: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 ready\r\n").await?;
    let (mut line, mut is_data, mut message_id) = (String::new(), false, None);
    while stream.read_line(&mut line).await? > 0 {
        let response = match line.trim_end() {
            "." if is_data => {
                is_data = false;
                taken.lock().extend(message_id.take());
                "250 taken"
            }
            header if is_data => {
                if let Some(id) = header.strip_prefix("Message-ID: <") {
                    message_id = id.split('@').next().map(str::to_owned);
                }
                ""
            }
            "DATA" => {
                is_data = true;
                "354 go on"
            }
            "QUIT" => "221 goodbye",
            _ => "250 ok",
        };
        if !response.is_empty() {
            stream.write_all(format!("{response}\r\n").as_bytes()).await?;
        }
        line.clear();
    }
    Ok(())
}
