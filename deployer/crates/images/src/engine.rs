//! A Docker Engine (or podman's socket), over its HTTP API: no `docker` command is required.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use crate::archive::archive;
use crate::build::BuiltImage;
use crate::error::ImageError;

const SOCKET: &str = "/var/run/docker.sock";

/// An engine that did not load the images.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No engine answers.
    #[error("no Docker Engine answers at {endpoint}: {reason}")]
    Absent {
        /// The socket, or the value of `DOCKER_HOST`.
        endpoint: String,
        /// The reason.
        reason: String,
    },
    /// The engine reported an error.
    #[error("the Docker Engine rejected the images: {0}")]
    Rejected(String),
    /// The archive cannot be written.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Loads images into the engine of `DOCKER_HOST`, or of this machine, under their names (`REPOSITORY:TAG`).
///
/// # Errors
/// No engine answers, the archive cannot be written, or the engine rejects the images.
pub async fn load(images: Vec<(BuiltImage, String)>) -> Result<(), EngineError> {
    let socket = socket()?;
    let absent = |error: reqwest::Error| EngineError::Absent {
        endpoint: socket.display().to_string(),
        reason: cause(&error),
    };
    let rejected = |error: reqwest::Error| EngineError::Rejected(cause(&error));
    let client = reqwest::Client::builder()
        .unix_socket(socket.clone())
        .build()
        .map_err(absent)?;
    // First, because the usual failure is that there is no engine, and the archive is large.
    client.get("http://docker/_ping").send().await.map_err(absent)?;
    let written = tokio::task::spawn_blocking(move || TemporaryArchive::write(&images));
    let archive = written.await.map_err(|error| ImageError::Archive(error.into()))??;
    let file = tokio::fs::File::open(&archive.0)
        .await
        .map_err(ImageError::read(&archive.0))?;
    let sent = client
        .post("http://docker/images/load?quiet=1")
        .header("content-type", "application/x-tar")
        .body(reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, 256 << 10)))
        .send()
        .await
        .map_err(rejected)?;
    let status = sent.status();
    let lines: Vec<u8> = sent
        .bytes_stream()
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .map_err(rejected)?;
    match reported_error(&lines) {
        Some(message) => Err(EngineError::Rejected(message)),
        None if status.is_success() => Ok(()),
        None => Err(EngineError::Rejected(format!("it answered {status}"))),
    }
}

/// Returns the engine's socket. An engine behind another protocol needs Docker's own client, which can load the archive.
fn socket() -> Result<PathBuf, EngineError> {
    match std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) {
        None => Ok(SOCKET.into()),
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(EngineError::Absent {
                endpoint: host,
                reason: "only sockets (unix://) are supported".into(),
            }),
        },
    }
}

/// Returns the error among the JSON lines of the engine's response.
fn reported_error(lines: &[u8]) -> Option<String> {
    let mut lines = serde_json::Deserializer::from_slice(lines)
        .into_iter::<Value>()
        .flatten();
    lines.find_map(|line| {
        let message = line.get("error").or(line.get("message"))?;
        Some(message.as_str()?.to_owned())
    })
}

/// Returns the innermost reason: the operating system's message.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// The archive on disk while it is sent.
struct TemporaryArchive(PathBuf);

impl TemporaryArchive {
    fn write(images: &[(BuiltImage, String)]) -> Result<Self, ImageError> {
        let beside = images.first().and_then(|(built, _)| built.folder.parent());
        let folder = beside.unwrap_or(Path::new("."));
        let temporary = Self(folder.join(format!("load-{}.tar", std::process::id())));
        let file = File::create(&temporary.0).map_err(ImageError::write(&temporary.0))?;
        let named: Vec<(&BuiltImage, String)> = images.iter().map(|(built, name)| (built, name.clone())).collect();
        archive(&named, BufWriter::new(file))?;
        Ok(temporary)
    }
}

impl Drop for TemporaryArchive {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_among_the_lines_of_progress() {
        let lines = b"{\"stream\":\"Loaded image: a:b\\n\"}\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"no space\"}\n";
        assert_eq!(reported_error(lines).as_deref(), Some("no space"));
        assert_eq!(reported_error(b"{\"stream\":\"Loaded image: a:b\\n\"}"), None);
    }
}
