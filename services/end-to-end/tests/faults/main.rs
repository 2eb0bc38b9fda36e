//! What must hold whatever dies: real processes, real PostgreSQL, real Kafka, and proxies that fail on command.

mod harness;
