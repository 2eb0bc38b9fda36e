//! One file for each command: its arguments (the help is their doc comment) and `run`.

pub mod code;
pub mod completions;
pub mod consent;
pub mod curl;
pub mod deploy;
pub mod destroy;
pub mod diff;
pub mod doctor;
pub mod drift;
pub mod endpoint;
pub mod estimate;
pub mod events;
pub mod images;
pub mod logs;
pub mod outputs;
pub mod permissions;
pub mod status;
pub mod synth;
pub mod unstick;
pub mod up;
pub mod validate;

#[cfg(test)]
pub mod played;

use crate::cli::{Cli, Command};
use crate::error::{Error, Result};
use crate::suggest::closest_or_all;
use crate::target::Session;
use ui::Ui;

/// Runs the command, renders its error, and gives the process' exit code.
pub async fn run(cli: Cli) -> u8 {
    let ui = Ui::new(cli.common.ui_options());
    let session = Session::new(cli.common, ui.clone());
    match dispatch(cli.command, &session).await {
        Ok(()) => 0,
        // What differs has been shown: the exit code says the rest.
        Err(Error::Differences) => Error::Differences.exit_code(),
        Err(error) => {
            error.report(&ui);
            error.exit_code()
        }
    }
}

async fn dispatch(command: Command, session: &Session) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args, session).await,
        Command::Diff(args) => diff::run(args, session).await,
        Command::Destroy(args) => destroy::run(args, session).await,
        Command::Synth(args) => synth::run(args, session),
        Command::Validate(args) => validate::run(args, session).await,
        Command::Status(args) => status::run(args, session).await,
        Command::Outputs(args) => outputs::run(args, session).await,
        Command::Logs(args) => logs::run(args, session).await,
        Command::Events(args) => events::run(args, session).await,
        Command::Images(args) => images::run(args, session).await,
        Command::Drift(args) => drift::run(args, session).await,
        Command::Unstick(args) => unstick::run(args, session).await,
        Command::Estimate(args) => estimate::run(args, session).await,
        Command::Permissions(args) => permissions::run(args, session),
        Command::Doctor(args) => doctor::run(args, session).await,
        Command::Endpoint(args) => endpoint::run(args, session).await,
        Command::Completions(args) => completions::run(args),
    }
}

/// The name that CloudFormation has for what a person calls `network` or `patient-management-dev-network`.
fn stack_named<'a>(plan: &'a crate::stacks::Plan, given: &str) -> Result<&'a crate::stacks::Stack> {
    plan.stacks
        .iter()
        .find(|stack| stack.short_name == given || stack.name == given)
        .ok_or_else(|| {
            let known = plan.stacks.iter().map(|stack| stack.short_name.as_str());
            Error::Usage(format!(
                "there is no stack '{given}'; {}",
                closest_or_all("stacks", given, known)
            ))
        })
}
