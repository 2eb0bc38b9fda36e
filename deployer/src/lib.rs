//! `deployer`: the platform declared in `deployer.toml`, applied through CloudFormation.

pub mod stacks;
