//! `deployer`: the platform declared in `deployer.toml`, applied through CloudFormation.

pub mod cli;
pub mod command;

pub mod manifest;
pub mod near;
pub mod schema;
pub mod template;

pub mod diff;
pub mod estimate;
pub mod permissions;
pub mod rules;

pub mod stacks;

pub mod image;

pub mod cloudformation;
pub mod ecs;
pub mod leftovers;
pub mod lock;
pub mod preflight;
pub mod target;
pub mod undeclared;

pub mod ui;

pub mod error;

pub use error::{Error, Result};
