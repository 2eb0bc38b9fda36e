//! `deployer unstick`: a stack that neither goes forward nor back.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::cloudformation::{Failure, settle, stack, watch};
use crate::error::{Error, Result};
use crate::target::Session;

/// Say why a stack is stuck and what can be done; with --yes, do it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stack (its short or full name).
    stack: String,
    /// Resources that the rollback is to leave alone.
    #[arg(long, value_name = "LOGICAL_ID")]
    skip: Vec<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let ui = &session.ui;
    let plan = session.plan()?;
    let name = super::stack_named(&plan, &args.stack).map_or_else(|_| args.stack.clone(), |stack| stack.name.clone());
    let aws = session.connect().await?;
    let Some(existing) = stack::find(&aws, &name).await? else {
        return Err(Error::Usage(format!("there is no stack {name}")));
    };
    let mut events = watch::events(&aws, &existing.id, &HashSet::new()).await?;
    // The last operation's events, oldest first: an operation begins with a first status of the stack itself.
    let began = events.iter().position(|e| {
        e.is_stack
            && matches!(
                e.status.as_str(),
                "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS"
            )
    });
    events.truncate(began.map_or(events.len(), |at| at + 1));
    events.reverse();
    let cause = Failure::new(&name, &existing.status, &events, None);
    ui.data(
        "unstick",
        json!({ "stack": name, "status": existing.status, "cause": cause }),
        "",
    );
    let limit = Duration::from_secs(3600);
    match existing.status.as_str() {
        "UPDATE_ROLLBACK_FAILED" => {
            ui.say(cause.to_string());
            ui.say(
                "its rollback can be continued; --skip LOGICAL_ID leaves a resource out that can no longer be put back",
            );
            if !agreed(session, "Continue the rollback?").await? {
                return Ok(());
            }
            let request = aws.cloudformation.continue_update_rollback().stack_name(&existing.id);
            request
                .set_resources_to_skip((!args.skip.is_empty()).then_some(args.skip))
                .send()
                .await?;
            let status = settle::follow(&aws, ui, &existing, limit).await?;
            ended(&name, status, "UPDATE_ROLLBACK_COMPLETE", ui)
        }
        "DELETE_FAILED" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "ROLLBACK_COMPLETE" => {
            ui.say(cause.to_string());
            ui.say("the stack can be deleted; `deployer up` then makes it anew");
            if !agreed(session, "Delete it?").await? {
                return Ok(());
            }
            crate::cloudformation::delete::delete(&aws, ui, &existing, limit).await
        }
        "UPDATE_IN_PROGRESS" => {
            ui.say(format!("{name} is being updated; the update can be cancelled"));
            if !agreed(session, "Cancel it?").await? {
                return Ok(());
            }
            aws.cloudformation
                .cancel_update_stack()
                .stack_name(&existing.id)
                .send()
                .await?;
            let status = settle::follow(&aws, ui, &existing, limit).await?;
            ended(&name, status, "UPDATE_ROLLBACK_COMPLETE", ui)
        }
        status => {
            ui.say(format!("{name} is not stuck: {status}"));
            Ok(())
        }
    }
}

async fn agreed(session: &Session, question: &str) -> Result<bool> {
    match session.ui.ask(question).await {
        Some(answer) => Ok(answer),
        None => {
            session.ui.say("run with --yes to do it");
            Ok(false)
        }
    }
}

fn ended(name: &str, status: String, wanted: &str, ui: &crate::ui::Ui) -> Result<()> {
    if status == wanted || status == "UPDATE_COMPLETE" {
        ui.say(format!("{name}: {status}"));
        return Ok(());
    }
    Err(Error::Stuck {
        stack: name.to_owned(),
        status,
        reason: None,
    })
}
