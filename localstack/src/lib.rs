#![doc = include_str!("../README.md")]

pub mod server;
pub mod service;

pub use endpoint_cloudformation as cloudformation;
pub use endpoint_core::{
    AwsError, Call, Config, Context, Desired, Failure, Initiated, KeyedLocks, Resource, ResourceType,
};
pub use endpoint_core::{Behavior, LoopbackBlock, Schema, Service};
pub use endpoint_core::{behavior, context, encryption, error, records, resource, store, wire};
pub use endpoint_runtime as runtime;
