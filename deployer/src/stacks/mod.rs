//! The platform's stacks, from the manifest: pure, no I/O.

pub mod plan;

pub use plan::{Image, Ingress, Parameter, Plan, Source, Stack};
