#![doc = include_str!("../README.md")]

mod background;

pub mod behavior;
pub mod context;
pub mod error;
pub mod resource;
pub mod service;

pub mod direct;
pub mod region;
pub mod registry;

pub mod encryption;
pub mod locks;
pub mod records;
pub mod store;

pub mod wire;

pub mod testing;

pub use background::Fault;
pub use behavior::Behavior;
pub use context::{Config, Context};
pub use error::{AwsError, Failure};
pub use locks::KeyedLocks;
pub use region::LoopbackBlock;
pub use resource::{Desired, Initiated, Resource, ResourceType, Schema};
pub use service::{Call, Service};
