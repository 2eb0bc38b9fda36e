#![doc = include_str!("../README.md")]

pub mod behavior;
pub mod context;
pub mod error;
pub mod resource;
pub mod service;

pub mod direct;
pub mod registry;

pub mod encryption;
pub mod records;
pub mod store;

pub mod wire;

pub use behavior::Behavior;
pub use context::{Config, Context, LoopbackBlock};
pub use error::{AwsError, Failure};
pub use resource::{Desired, Initiated, Resource, ResourceType, Schema};
pub use service::{Call, Route, Service};
