//! Links between two processes.

use crate::Service;

/// A link that a test can disturb; each has a separate proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// From every HTTP client of a service to its replicas, round robin.
    Http(Service),
    /// From patient-service to billing-service.
    Grpc,
    /// From all replicas of a service to the broker.
    Kafka(Service),
    /// From all replicas of a service to its database.
    Postgres(Service),
}
