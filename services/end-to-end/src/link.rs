//! What connects two processes.

use crate::Service;

/// A connection that a test can disturb; each has a proxy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The front door of a service: whoever calls it over HTTP comes through here, to any replica.
    Http(Service),
    /// From patient-service to billing-service.
    Grpc,
    /// From all replicas of a service to the broker.
    Kafka(Service),
    /// From all replicas of a service to its database.
    Postgres(Service),
}
