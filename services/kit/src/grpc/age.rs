//! The age of connections to a server.

use std::time::Duration;

/// Mean age at which a server asks a client to connect again.
const MEAN: Duration = Duration::from_mins(1);

/// Returns the age for [`tonic::transport::Server::max_connection_age`], different for each process.
///
/// A channel has one connection to one task, for as long as that task lives. With a limited age it connects again, so that
/// new tasks get calls. The server sends GOAWAY and completes the calls in progress; the client's next call uses a new
/// connection. `max_connection_age_grace` is not set: with it, tonic 0.14 sends no GOAWAY and aborts the calls instead.
pub fn max_connection_age() -> Duration {
    MEAN.mul_f64(rand::random_range(0.8..=1.2))
}
