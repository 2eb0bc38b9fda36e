//! The command line: the common options, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ui::UiOptions;

use crate::command;

/// Deploys the platform declared in deployer.toml to AWS, to LocalStack, or to the embedded endpoint.
///
/// Exit codes: 0 done or nothing to do; 1 error; 2 differences found (diff --exit-code); 3 credentials or permission;
/// 4 failed and rolled back; 5 stack stuck, see `unstick`; 6 timed out while stabilising; 130 interrupted.
#[derive(Debug, Parser)]
#[command(
    name = "deployer",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:
  deployer doctor                              check prerequisites
  deployer up                                  deploy to this machine, and print the URL
  deployer status
  deployer logs -f patient-service
  deployer diff --env prod --offline           show changes, without a network
  deployer up --target aws --env prod
  deployer destroy

`deployer COMMAND --help` has examples and exit codes of each command."
)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Common {
    /// Target. `localstack`: an endpoint already listening on the port, otherwise the embedded one.
    #[arg(long, global = true, env = "DEPLOYER_TARGET", default_value = "localstack")]
    pub target: TargetName,
    /// Environment of deployer.toml.
    #[arg(
        long = "env",
        global = true,
        env = "DEPLOYER_ENV",
        default_value = "dev",
        value_name = "NAME"
    )]
    pub environment: String,
    /// AWS region [default: us-east-1 on localstack, the region of the profile on AWS].
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// AWS profile.
    #[arg(long, global = true)]
    pub profile: Option<String>,
    /// URL of the AWS endpoint, instead of the target's default.
    #[arg(long, global = true, env = "DEPLOYER_ENDPOINT_URL", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// Manifest; searched for in the working directory and its parents.
    #[arg(
        short = 'm',
        long,
        global = true,
        default_value = "deployer.toml",
        value_name = "PATH"
    )]
    pub manifest: PathBuf,
    /// Write versioned NDJSON to stdout instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Answer yes to every question.
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// Disable colours and the live tree. The variable `NO_COLOR` disables colours.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Prefix each line with a UTC timestamp (disables the live tree).
    #[arg(long, global = true, env = "DEPLOYER_TIMESTAMPS")]
    pub timestamps: bool,
    /// Port of the embedded endpoint.
    #[arg(long, global = true, env = "DEPLOYER_PORT", default_value_t = 4566)]
    pub port: u16,
    /// State directory of the embedded endpoint [default: .localstack beside the manifest].
    #[arg(long, global = true, env = "DEPLOYER_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Second octet of the embedded endpoint's loopback addresses, 127.OCTET.x.y [default: derived from the port].
    #[arg(long, global = true, env = "DEPLOYER_LOOPBACK_OCTET", value_name = "OCTET", value_parser = clap::value_parser!(u8).range(1..=254))]
    pub loopback_octet: Option<u8>,
    /// Kafka broker of the embedded endpoint [default: the installed one].
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

    /// Returns the second octet of the loopback addresses. By default it differs between endpoints on different ports.
    pub fn loopback_octet(&self) -> u8 {
        self.loopback_octet.unwrap_or((self.port % 200) as u8 + 20)
    }
}

/// The kind of endpoint to deploy to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    Localstack,
    Aws,
}

/// The commands.
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
