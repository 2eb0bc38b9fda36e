//! The embedded endpoint: a LocalStack-compatible AWS endpoint that turns a template into running processes.

pub mod server;
pub mod service;

pub use endpoint_cloudformation as cloudformation;
pub use endpoint_core::{AwsError, Call, Config, Context, Desired, Failure, Initiated, Resource, ResourceType, Route};
pub use endpoint_core::{Schema, Service, Slice};
pub use endpoint_core::{context, error, resource, store, wire};
pub use endpoint_runtime as runtime;
