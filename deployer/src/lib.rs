//! `deployer`: the platform declared in `deployer.toml`, deployed with CloudFormation.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds, which CloudFormation returns as floating-point numbers, and percentages of them"
)]

mod capabilities;
mod cli;
mod command;
mod context;
mod embedded;
mod error;
mod estimate;
mod image;
mod operations;
mod orphans;
mod preflight;
mod unmanaged;

pub use cli::Cli;
pub use command::run;
pub use embedded::run_task;
