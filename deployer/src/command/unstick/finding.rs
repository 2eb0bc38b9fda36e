//! What is known of one stack, before anything is done.

use serde::Serialize;

use super::remedy::Remedy;
use crate::cloudformation::history::{self, Past};
use crate::cloudformation::holdings::{Fate, Holding, holdings};
use crate::cloudformation::status::{Stand, meaning};
use crate::cloudformation::{Existing, Failure, stack};
use crate::error::Result;
use crate::target::Aws;

/// A stack's state, what led there, and what can be done.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub stack: String,
    pub status: String,
    pub stand: Stand,
    pub means: &'static str,
    pub past: Past,
    pub cause: Failure,
    /// Resources that the last rollback could not put back, with why.
    pub not_put_back: Vec<(String, Option<String>)>,
    /// Resources that could not be deleted.
    pub not_deleted: Vec<String>,
    pub resources: usize,
    /// What a deletion would take away or leave.
    pub holds: Vec<Holding>,
    #[serde(flatten)]
    pub remedy: Remedy,
}

impl Finding {
    /// Looks, and changes nothing.
    ///
    /// With `delete` the remedy of a stuck stack is its deletion, whatever else there is.
    pub async fn look(aws: &Aws, existing: &Existing, snapshots: bool, delete: bool) -> Result<Self> {
        let (past, events) = Past::look(aws, existing).await?;
        let remedy = match Remedy::of(&existing.status, past) {
            Remedy::Continue | Remedy::RollBack | Remedy::ByHand if delete => Remedy::Delete {
                typed: past != Past::Never,
            },
            remedy => remedy,
        };
        let list = stack::resources(aws, &existing.id).await?;
        let holds = match remedy {
            Remedy::Delete { .. } => {
                let template = stack::template(aws, &existing.id).await?;
                holdings(&list, template.as_ref(), snapshots)
            }
            _ => Vec::new(),
        };
        let (stand, means) = meaning(&existing.status);
        let failed = list.iter().filter(|resource| resource.status == "DELETE_FAILED");
        let not_put_back = match existing.status.as_str() {
            "UPDATE_ROLLBACK_FAILED" => history::not_put_back(&events),
            _ => Vec::new(),
        };
        Ok(Self {
            stack: existing.name.clone(),
            status: existing.status.clone(),
            stand,
            means,
            past,
            cause: Failure::new(
                &existing.name,
                &existing.status,
                &history::last_operation(&events),
                None,
            ),
            not_put_back,
            not_deleted: failed.map(|resource| resource.logical.clone()).collect(),
            resources: list.len(),
            holds,
            remedy,
        })
    }

    /// Whether somebody has to do something.
    pub fn is_stuck(&self) -> bool {
        matches!(self.stand, Stand::Stuck | Stand::Leftover)
    }

    pub fn text(&self) -> String {
        let mut lines = vec![format!("{}: {}", self.stack, self.status), format!("  {}", self.means)];
        if self.is_stuck() && (self.cause.resource.is_some() || self.cause.reason.is_some()) {
            lines.push(format!("  why: {}", why(&self.cause)));
        }
        for (resource, reason) in &self.not_put_back {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.push(format!("  not put back: {resource}{reason}"));
        }
        lines.push(format!("  {}", self.remedy.words(&self.status)));
        if self.remedy == Remedy::Continue && !self.not_put_back.is_empty() {
            let skip: Vec<String> = self
                .not_put_back
                .iter()
                .map(|(name, _)| format!("--skip {name}"))
                .collect();
            lines.push(format!(
                "  once the cause is removed, continue; a resource that can no longer be put back is left out with {}, and then is not what the template says",
                skip.join(" ")
            ));
        }
        if let Remedy::Delete { .. } = self.remedy {
            lines.push(format!("  a deletion takes {} resources", self.resources));
            for holding in &self.holds {
                let fate = match holding.fate {
                    Fate::Lost => "LOST    ",
                    Fate::Snapshot => "stays   a final snapshot of ",
                    Fate::Kept => "stays   ",
                };
                let note = holding
                    .note
                    .as_ref()
                    .map(|note| format!("; {note}"))
                    .unwrap_or_default();
                lines.push(format!("    {fate}{}{note}", holding.what));
            }
        }
        if !self.not_deleted.is_empty() {
            lines.push(format!(
                "  what could not be deleted: {}; correct the cause, or leave it behind with --retain",
                self.not_deleted.join(", ")
            ));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn why(cause: &Failure) -> String {
    let reason = cause.reason.as_deref().unwrap_or("no reason is given");
    match (&cause.resource, &cause.kind) {
        (Some(resource), Some(kind)) => format!("{resource} ({kind}): {reason}"),
        _ => reason.to_owned(),
    }
}
