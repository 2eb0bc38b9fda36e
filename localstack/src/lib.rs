//! The embedded endpoint: a LocalStack-compatible AWS endpoint that turns a template into running processes.

pub mod server;
pub mod wire;

pub mod cloudformation;
pub mod service;

pub mod runtime;

pub mod context;
pub mod error;
pub mod resource;
pub mod store;

pub use context::{Config, Context, Slice};
pub use error::{AwsError, Failure};
pub use resource::{Desired, Initiated, Resource, ResourceType, Schema};
pub use service::{Call, Route, Service};
