//! `deployer`: the platform declared in `deployer.toml`, deployed with CloudFormation.

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
