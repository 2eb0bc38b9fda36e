//! The commands: one file each, with its arguments (their doc comments are the help) and `run`.

pub mod completions;
pub mod confirm;
pub mod curl;
pub mod deploy;
pub mod destroy;
pub mod diff;
pub mod doctor;
pub mod drift;
pub mod endpoint;
pub mod estimate;
pub mod events;
pub mod hotswap;
pub mod images;
pub mod logs;
pub mod outputs;
pub mod permissions;
mod service_version;
pub mod status;
pub mod synth;
pub mod unstick;
pub mod up;
pub mod validate;

#[cfg(test)]
pub mod testing;

use crate::capabilities;
use crate::cli::{Cli, Command};
use crate::context::Session;
use crate::error::{ArgumentError, Error, Named, Result};
use platform::stacks::{Plan, Stack};
use ui::Ui;

/// Runs the command and renders its error; returns the exit code of the process.
pub async fn run(cli: Cli) -> u8 {
    let ui = Ui::new(cli.common.ui_options());
    let session = Session::new(cli.common, ui.clone());
    match dispatch(cli.command, &session).await {
        Ok(()) => 0,
        // The differences are already shown, and the exit code is the result.
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
        Command::Completions(args) => {
            completions::run(args);
            Ok(())
        }
    }
}

/// Returns the plan that the endpoint can deploy, and shows what it replaces or leaves out.
///
/// # Errors
/// The endpoint lacks something without a replacement, or does not answer.
async fn adapted_plan(session: &Session, aws: &aws::Session, plan: Plan) -> Result<Plan> {
    let adapted = capabilities::adapt_plan(aws, plan).await?;
    for warning in adapted.warnings {
        session.ui.warn(warning);
    }
    Ok(adapted.plan)
}

/// Returns the stack of a short name, such as `network`, or of a full name, such as `shop-dev-network`.
fn stack_named<'a>(plan: &'a Plan, name: &str) -> Result<&'a Stack, ArgumentError> {
    let mut stacks = plan.stacks.iter();
    stacks
        .find(|stack| stack.short_name == name || stack.name == name)
        .ok_or_else(|| {
            ArgumentError::unknown(
                Named::Stack,
                name,
                plan.stacks.iter().map(|stack| stack.short_name.as_str()),
            )
        })
}
