//! What a deployment takes away, agreed to before anything is begun: stacks that the manifest no longer has, and data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::interrupt::Interrupts;
use super::stack::PRECIOUS;
use crate::cloudformation::{Existing, stack};
use crate::command::destroy::{Demise, Job, delete, render};
use crate::diff::{Action, Change, compare};
use crate::error::{Error, Result};
use crate::schema::Recreation;
use crate::stacks::Plan;
use crate::target::{Aws, Session};

/// Full name of a stack and logical id of one of its resources.
pub type Place = (String, String);

/// What goes, as far as templates tell it.
pub struct Leaving {
    /// The stacks that the manifest no longer has. They use the shared ones, so they go first.
    pub stacks: Demise,
    /// What holds data and is removed or replaced, in words.
    lost: Vec<(Place, String)>,
}

impl Leaving {
    /// Looks, and changes nothing. `templates` are those of the planned stacks that are deployed, `existing` all stacks.
    pub async fn look(
        session: &Session,
        aws: &Aws,
        plan: &Plan,
        existing: &BTreeMap<String, Existing>,
        templates: &BTreeMap<String, Value>,
    ) -> Result<Self> {
        let snapshots = !aws.endpoint.is_foreign();
        let mut stacks = Demise::gone(aws, plan, existing, session.place(), snapshots).await?;
        // What is encrypted with a key must have another one before that goes.
        stacks.stacks.retain(|one| !holds_key(one.template.as_ref()));
        let changed = plan.stacks.iter().filter_map(|planned| {
            let former = templates.get(&planned.name)?;
            Some((planned, compare(Some(former), &planned.template)))
        });
        let lost = changed.flat_map(|(planned, changes)| {
            let precious = changes.into_iter().filter(is_precious);
            precious.map(|change| {
                let words = loss(&planned.name, &change);
                ((planned.name.clone(), change.logical_id), words)
            })
        });
        let lost = lost.collect();
        Ok(Self { stacks, lost })
    }

    /// Whether a stack is among those that go.
    pub fn has(&self, stack: &str) -> bool {
        self.stacks.stacks.iter().any(|one| one.stack == stack)
    }

    /// Shows it and asks; gives what need not be asked again. Refused where a protection is in the way.
    pub async fn agree(&self, session: &Session) -> Result<BTreeSet<Place>> {
        const KEPT: &str = "nothing was begun";
        let ui = &session.ui;
        if self.stacks.is_empty() && self.lost.is_empty() {
            return Ok(BTreeSet::new());
        }
        if !self.stacks.is_empty() {
            ui.warn(render::leaving(&self.stacks));
        }
        for (_, words) in &self.lost {
            ui.warn(words.clone());
        }
        if self.stacks.needs_more_than_a_yes() {
            return Err(Error::Declined(format!(
                "{KEPT}: {} is protected, so `up` deletes none of its stacks; `deployer destroy --gone` does, with a confirmation",
                self.stacks.name
            )));
        }
        let question = format!("Apply this to {}?", self.stacks.name);
        match ui.ask(&question).await {
            Some(true) => Ok(self.lost.iter().map(|(place, _)| place.clone()).collect()),
            Some(false) => Err(Error::Declined(KEPT.to_owned())),
            None => Err(Error::Declined(format!(
                "{KEPT}, because something is deleted and nobody is there to ask; run with --yes to do it, \
                 `deployer diff` to see it"
            ))),
        }
    }

    /// Deletes the stacks that the manifest no longer has.
    pub async fn delete(
        &self,
        aws: &Aws,
        session: &Session,
        limit: Duration,
        interrupts: &mut Interrupts,
    ) -> Result<()> {
        if self.stacks.is_empty() {
            return Ok(());
        }
        let job = Job {
            aws: aws.clone(),
            ui: session.ui.clone(),
            limit,
            stop: CancellationToken::new(),
        };
        let hint = "what CloudFormation has begun to delete goes on; `deployer up` takes it up again";
        delete::watched(&job, &self.stacks, interrupts, hint).await.map(drop)
    }
}

fn holds_key(template: Option<&Value>) -> bool {
    let resources = template.and_then(|template| template["Resources"].as_object());
    resources.is_some_and(|all| all.values().any(|one| one["Type"] == "AWS::KMS::Key"))
}

/// The templates of the planned stacks that are deployed and whole, by the stacks' full names.
pub async fn templates(
    aws: &Aws,
    plan: &Plan,
    existing: &BTreeMap<String, Existing>,
) -> Result<BTreeMap<String, Value>> {
    let there = plan
        .stacks
        .iter()
        .filter_map(|planned| existing.get(&planned.name))
        .filter(|stack| !stack.is_leftover());
    let read =
        there.map(|stack| async move { Ok::<_, Error>((&stack.name, stack::template(aws, &stack.name).await?)) });
    let read = futures::future::try_join_all(read).await?;
    Ok(read
        .into_iter()
        .filter_map(|(name, template)| Some((name.clone(), template?)))
        .collect())
}

/// Whether it is certain to take away what people put in; of what only may be replaced, the change set will tell.
fn is_precious(change: &Change) -> bool {
    let goes = change.action == Action::Remove || change.replacement == Recreation::Always;
    goes && PRECIOUS.contains(&change.resource_type.as_str())
}

/// What is lost, in a sentence.
pub fn loss(stack: &str, change: &Change) -> String {
    let how = match change.action {
        Action::Remove => "removed",
        _ => "replaced, and what it holds is lost",
    };
    format!(
        "{stack}: {} ({}) would be {how}",
        change.logical_id, change.resource_type
    )
}
