#![doc = include_str!("../README.md")]

pub mod clock;
pub mod error;

pub mod connectivity;
pub mod http;

pub mod endpoint;

pub mod credentials;
mod profile;
mod region;
pub mod retry;
pub mod s3;
pub mod session;
pub mod signed_request;
mod timestamp;
mod xml;

pub mod account;
pub mod ec2;
pub mod ecr;
pub mod elb;
pub mod kafka;
pub mod logs;
pub mod pricing;
pub mod quotas;
pub mod service_linked_role;
pub mod ssm;
pub mod subnets;
pub mod vpc;
pub mod zones;

pub mod cloudformation;
pub mod ecs;
pub mod location;
pub mod lock;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use clock::{Clock, TimedOut, Wait};
pub use endpoint::{Capability, Endpoint, EndpointKind};
pub use error::{Error, Result};
pub use session::{Session, SessionError, SessionOptions};
pub use timestamp::unix_time;
