//! A Docker Engine (or podman's socket), asked over its own API: no `docker` command is needed.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context;
use futures::TryStreamExt;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::archive::archive;
use super::build::Built;
use super::unwritten;

const SOCKET: &str = "/var/run/docker.sock";

/// Why an engine did not take an image.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no Docker Engine answers at {place}: {reason}")]
    Absent { place: String, reason: String },
    #[error("the Docker Engine does not take the images: {0}")]
    Refused(String),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Gives images to the engine of `DOCKER_HOST`, or of this machine, under their names (`REPOSITORY:TAG`).
pub async fn load(images: Vec<(Built, String)>) -> Result<(), EngineError> {
    let socket = socket()?;
    let absent = |reason: String| EngineError::Absent {
        place: socket.display().to_string(),
        reason,
    };
    let client = reqwest::Client::builder()
        .unix_socket(socket.clone())
        .build()
        .map_err(|error| absent(words(&error)))?;
    // Asked before anything is written: most often there is none.
    client
        .get("http://docker/_ping")
        .send()
        .await
        .map_err(|error| absent(words(&error)))?;
    let written = tokio::task::spawn_blocking(move || Scratch::write(&images));
    let scratch = written.await.map_err(anyhow::Error::from)??;
    let file = tokio::fs::File::open(&scratch.0).await.context("the archive is gone")?;
    let sent = client
        .post("http://docker/images/load?quiet=1")
        .header("content-type", "application/x-tar")
        .body(reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, 256 << 10)))
        .send()
        .await
        .map_err(|error| EngineError::Refused(words(&error)))?;
    let status = sent.status();
    let lines: Vec<u8> = sent
        .bytes_stream()
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .map_err(|error| EngineError::Refused(words(&error)))?;
    match complaint(&lines) {
        Some(words) => Err(EngineError::Refused(words)),
        None if status.is_success() => Ok(()),
        None => Err(EngineError::Refused(format!("it answered {status}"))),
    }
}

/// The engine's socket. Others than sockets need Docker's own client, and get the archive through it.
fn socket() -> Result<PathBuf, EngineError> {
    match std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) {
        None => Ok(SOCKET.into()),
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(EngineError::Absent {
                place: host,
                reason: "only sockets (unix://) are spoken to".into(),
            }),
        },
    }
}

/// What the engine says is wrong, in the lines of JSON that it answers.
fn complaint(lines: &[u8]) -> Option<String> {
    let mut lines = serde_json::Deserializer::from_slice(lines)
        .into_iter::<Value>()
        .flatten();
    lines.find_map(|line| {
        let words = line.get("error").or(line.get("message"))?;
        Some(words.as_str()?.to_owned())
    })
}

/// The innermost reason: what the operating system says.
fn words(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// The archive on disk while it is sent.
struct Scratch(PathBuf);

impl Scratch {
    fn write(images: &[(Built, String)]) -> anyhow::Result<Self> {
        let beside = images.first().and_then(|(built, _)| built.folder.parent());
        let folder = beside.unwrap_or(Path::new("."));
        let scratch = Self(folder.join(format!("load-{}.tar", std::process::id())));
        let file = File::create(&scratch.0).map_err(|error| unwritten(error, &scratch.0))?;
        let named: Vec<(&Built, String)> = images.iter().map(|(built, name)| (built, name.clone())).collect();
        archive(&named, BufWriter::new(file))?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_found_among_the_lines_of_progress() {
        let lines = b"{\"stream\":\"Loaded image: a:b\\n\"}\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"no space\"}\n";
        assert_eq!(complaint(lines).as_deref(), Some("no space"));
        assert_eq!(complaint(b"{\"stream\":\"Loaded image: a:b\\n\"}"), None);
    }
}
