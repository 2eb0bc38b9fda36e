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
    /// The URL has no host.
    #[error("{url} is not a valid endpoint URL (example: http://127.0.0.1:4566)")]
    InvalidUrl {
        /// The URL as configured.
        url: String,
    },
    /// No answer came within the time limit.
    #[error("{address} does not answer")]
    TimedOut {
        /// The host and port.
        address: String,
    },
    /// Nothing listens on the port.
    #[error("nothing listens on {address}")]
    Refused {
        /// The host and port.
        address: String,
    },
    /// The connection failed otherwise.
    #[error("{address}: {source}")]
    Io {
        /// The host and port.
        address: String,
        /// The operating system's error.
        source: std::io::Error,
    },
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
