//! `deployer estimate`: what it would cost.

use crate::error::{Error, Result};

/// Estimate the monthly cost on AWS (not built yet).
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: Args) -> Result<()> {
    let instead = "`deployer synth` writes the templates, from which the AWS Pricing Calculator can be fed";
    Err(Error::NotBuilt {
        command: "estimate",
        instead,
    })
}
