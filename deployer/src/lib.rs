//! `deployer`: the platform declared in `deployer.toml`, applied through CloudFormation.

pub mod cli;
pub mod command;

pub mod estimate;

pub mod image;

pub mod cloudformation;
pub mod ecs;
pub mod leftovers;
pub mod lock;
pub mod preflight;
pub mod target;
pub mod undeclared;

pub mod error;

// The names that these had here; call sites change one by one.
pub use cfn::{diff, schema, template};
pub use platform::{lint, manifest, permissions, stacks, suggest};

pub use error::{Error, Result};
