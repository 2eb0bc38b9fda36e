//! The command line: what every command shares, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ui::UiOptions;

use crate::command;

/// Deploys the platform declared in deployer.toml, on AWS, on LocalStack, or on the endpoint that it embeds.
///
/// Exit codes: 0 done or nothing to do; 1 error; 2 differences found (diff --exit-code); 3 credentials or permission;
/// 4 failed and rolled back; 5 stack stuck, needs `unstick`; 6 timed out while stabilising; 130 interrupted.
#[derive(Debug, Parser)]
#[command(
    name = "deployer",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:
  deployer doctor                              is everything there?
  deployer up                                  deploy to this machine, and print where it is
  deployer status
  deployer logs -f patient-service
  deployer diff --env prod --offline           what would change, without any network
  deployer up --target aws --env prod
  deployer destroy

`deployer COMMAND --help` has examples and exit codes of each command."
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Where to deploy; `localstack` is whatever answers on the port, or the embedded endpoint.
    #[arg(long, global = true, env = "DEPLOYER_TARGET", default_value = "localstack")]
    pub target: TargetName,
    /// The environment of deployer.toml.
    #[arg(
        long = "env",
        global = true,
        env = "DEPLOYER_ENV",
        default_value = "dev",
        value_name = "NAME"
    )]
    pub environment: String,
    /// AWS region; us-east-1 for localstack, else what the profile says.
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// AWS profile.
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// URL of the AWS endpoint, instead of the target's own.
    #[arg(long, global = true, env = "DEPLOYER_ENDPOINT_URL", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The manifest; searched for upwards from the working directory.
    #[arg(
        short = 'm',
        long,
        global = true,
        default_value = "deployer.toml",
        value_name = "PATH"
    )]
    pub manifest: PathBuf,
    /// Write versioned NDJSON on stdout instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Answer every question with yes.
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// No colours and no live tree; the variable NO_COLOR does the same for colours.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Begin each line with the time (UTC), for logs that have none; no live tree.
    #[arg(long, global = true, env = "DEPLOYER_TIMESTAMPS")]
    pub timestamps: bool,
    /// Port of the embedded endpoint.
    #[arg(long, global = true, env = "DEPLOYER_PORT", default_value_t = 4566)]
    pub port: u16,
    /// Directory of the embedded endpoint's state; .localstack beside the manifest unless given.
    #[arg(long, global = true, env = "DEPLOYER_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Second octet of the embedded endpoint's loopback addresses, 127.SLICE.x.y; follows from the port unless given.
    #[arg(long, global = true, env = "DEPLOYER_SLICE", value_name = "OCTET", value_parser = clap::value_parser!(u8).range(1..=254))]
    pub slice: Option<u8>,
    /// Kafka broker of the embedded endpoint: whichever is installed unless given.
    #[arg(long, global = true, env = "DEPLOYER_BROKER", value_parser = ["kafka", "nisshi"])]
    pub broker: Option<String>,
}

impl Common {
    pub fn ui_options(&self) -> UiOptions {
        UiOptions {
            json: self.json,
            assume_yes: self.yes,
            no_color: self.no_color,
            timestamps: self.timestamps,
        }
    }

    /// The second octet of the loopback addresses: endpoints on different ports keep apart without being told.
    pub fn slice(&self) -> u8 {
        self.slice.unwrap_or((self.port % 200) as u8 + 20)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    Localstack,
    Aws,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Up(command::up::Args),
    Diff(command::diff::Args),
    Destroy(command::destroy::Args),
    Synth(command::synth::Args),
    Validate(command::validate::Args),
    Status(command::status::Args),
    Outputs(command::outputs::Args),
    Logs(command::logs::Args),
    Events(command::events::Args),
    Images(command::images::Args),
    Drift(command::drift::Args),
    Unstick(command::unstick::Args),
    Estimate(command::estimate::Args),
    Permissions(command::permissions::Args),
    Doctor(command::doctor::Args),
    Endpoint(command::endpoint::Args),
    Completions(command::completions::Args),
}

#[cfg(test)]
mod tests;
