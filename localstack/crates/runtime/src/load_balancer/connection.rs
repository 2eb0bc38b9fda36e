//! The connection on which a request arrived.

use std::net::SocketAddr;

/// A client's connection to a listener.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    pub peer: SocketAddr,
    /// The port of the listener.
    pub port: u16,
    /// True with TLS.
    pub secure: bool,
}

impl Connection {
    pub fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}
