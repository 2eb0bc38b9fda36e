//! `deployer`: the platform declared in `deployer.toml`, deployed with CloudFormation.

pub mod capabilities;
pub mod cli;
pub mod command;
pub mod context;
pub mod embedded;
pub mod error;
pub mod estimate;
pub mod image;
pub mod operations;
pub mod orphans;
pub mod preflight;
pub mod unmanaged;

// The names that these had here; call sites change one by one.
pub use cfn::{diff, schema, template};
pub use platform::{lint, manifest, permissions, stacks, suggest};

pub use error::{Error, Result};
