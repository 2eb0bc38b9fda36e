//! A connection test before the first request: the SDK would retry for long.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;

/// Timeout of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of the first response.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1500);

/// A host that takes no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{url} is not a valid endpoint URL (example: http://127.0.0.1:4566)")]
    InvalidUrl { url: String },
    #[error("{address} does not answer")]
    TimedOut { address: String },
    #[error("nothing listens on {address}")]
    Refused { address: String },
    #[error("{address}: {source}")]
    Io { address: String, source: std::io::Error },
}

/// Connects to the URL's host and port.
///
/// # Errors
/// The text is not an HTTP URL, or there is no connection within a second.
pub async fn connect(url: &str) -> Result<(), ConnectError> {
    let parsed = url::Url::parse(url)
        .ok()
        .filter(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host());
    let Some(parsed) = parsed else {
        return Err(ConnectError::InvalidUrl { url: url.to_owned() });
    };
    let address = format!(
        "{}:{}",
        parsed.host_str().unwrap_or("localhost"),
        parsed.port_or_known_default().unwrap_or(80)
    );
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&address)).await {
        Err(_) => Err(ConnectError::TimedOut { address }),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Err(ConnectError::Refused { address }),
        Ok(Err(source)) => Err(ConnectError::Io { address, source }),
        Ok(Ok(_)) => Ok(()),
    }
}
