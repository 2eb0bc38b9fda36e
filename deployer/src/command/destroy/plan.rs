//! What a deletion takes away, before anything is touched.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use crate::cloudformation::holdings::{Fate, Holding, holdings};
use crate::cloudformation::protection::{self, Protection};
use crate::cloudformation::stack::Resource;
use crate::cloudformation::{Existing, stack};
use crate::error::{Error, Result};
use crate::leftovers::{self, Leftover, Scope};
use crate::stacks::Plan;
use crate::target::Aws;

/// Everything that one `destroy` takes away.
#[derive(Debug, Serialize)]
pub struct Demise {
    /// `<project>-<env>`, what a person types.
    pub name: String,
    pub place: String,
    /// Whether the manifest calls the environment protected.
    pub protected: bool,
    /// In the order in which they go.
    pub stacks: Vec<Doomed>,
    /// What is in no stack, and goes as well.
    pub swept: Vec<Leftover>,
}

/// A stack that is to go.
#[derive(Debug, Clone, Serialize)]
pub struct Doomed {
    pub stack: String,
    pub status: String,
    /// From 1; those of one step go at the same time.
    pub step: usize,
    /// How many resources it has.
    pub resources: usize,
    pub holds: Vec<Holding>,
    pub protections: Vec<Protection>,
    #[serde(skip)]
    pub existing: Existing,
    #[serde(skip)]
    pub list: Vec<Resource>,
    #[serde(skip)]
    pub template: Option<Value>,
    /// The stacks that must be gone before.
    pub after: Vec<String>,
    /// Resources whose deletion has failed, and that a person wants to be left alone.
    pub retain: Vec<String>,
}

impl Demise {
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.swept.is_empty()
    }

    pub fn protections(&self) -> impl Iterator<Item = &Protection> {
        self.stacks.iter().flat_map(|stack| &stack.protections)
    }

    /// Looks at every stack of the environment, and changes nothing.
    pub async fn look(aws: &Aws, plan: &Plan, place: String, snapshots: bool, retain: &[String]) -> Result<Self> {
        let found = stack::all(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
        let mut stacks = doomed(aws, plan, &ours(found, plan), snapshots).await?;
        kept_back(&mut stacks, plan, retain)?;
        let templates = stacks.iter().filter_map(|one| one.template.as_ref());
        let scope = Scope::new(plan, templates);
        let in_stacks: Vec<String> = stacks
            .iter()
            .flat_map(|one| one.list.iter().map(|resource| resource.physical.clone()))
            .collect();
        let mut swept = leftovers::sweepable(aws, &scope).await.found;
        swept.retain(|one| !in_stacks.contains(&one.name));
        Ok(Self {
            name: format!("{}-{}", plan.project, plan.environment),
            place,
            protected: plan.protected,
            stacks,
            swept,
        })
    }

    /// Looks at those of the stacks found that the manifest no longer has.
    pub async fn gone(
        aws: &Aws,
        plan: &Plan,
        found: &BTreeMap<String, Existing>,
        place: String,
        snapshots: bool,
    ) -> Result<Self> {
        Ok(Self {
            name: format!("{}-{}", plan.project, plan.environment),
            place,
            protected: plan.protected,
            stacks: doomed(aws, plan, &gone(found, plan), snapshots).await?,
            swept: Vec::new(),
        })
    }

    /// Whether a yes is not enough: the environment or one of its stacks is protected.
    pub fn needs_more_than_a_yes(&self) -> bool {
        !self.stacks.is_empty() && (self.protected || self.protections().next().is_some())
    }
}

/// Looks at these stacks, and puts them in their order.
async fn doomed(aws: &Aws, plan: &Plan, existing: &BTreeMap<String, Existing>, snapshots: bool) -> Result<Vec<Doomed>> {
    let looked = existing.values().map(|found| look(aws, found, snapshots));
    let mut stacks: Vec<Doomed> = futures::future::try_join_all(looked).await?;
    order(&mut stacks, plan);
    Ok(stacks)
}

/// Those of the stacks found that are this project's and environment's: the plan's, and those that carry our tags.
pub fn ours(mut found: BTreeMap<String, Existing>, plan: &Plan) -> BTreeMap<String, Existing> {
    let tagged = |stack: &Existing| {
        stack.tags.get("project") == Some(&plan.project) && stack.tags.get("environment") == Some(&plan.environment)
    };
    found.retain(|name, stack| tagged(stack) || plan.has(name));
    found
}

/// Those of ours that the manifest no longer has.
pub fn gone(found: &BTreeMap<String, Existing>, plan: &Plan) -> BTreeMap<String, Existing> {
    let mut gone = ours(found.clone(), plan);
    gone.retain(|name, _| !plan.has(name));
    gone
}

async fn look(aws: &Aws, existing: &Existing, snapshots: bool) -> Result<Doomed> {
    let list = stack::resources(aws, &existing.id).await?;
    let template = stack::template(aws, &existing.id).await?;
    let protections = protection::find(aws, existing, &list, template.as_ref()).await?;
    let mut holds = holdings(&list, template.as_ref(), snapshots);
    let mut empty = Vec::new();
    for one in holds.iter_mut().filter(|one| one.kind == "AWS::ECR::Repository") {
        let count = leftovers::images(aws, &one.physical).await?.len();
        let many = if count == 1 { "image" } else { "images" };
        one.what = format!("{count} {many} of repository {}", one.physical);
        if count == 0 && one.fate == Fate::Lost {
            empty.push(one.resource.clone());
        }
    }
    holds.retain(|one| !empty.contains(&one.resource));
    Ok(Doomed {
        stack: existing.name.clone(),
        status: existing.status.clone(),
        step: 0,
        resources: list.len(),
        holds,
        protections,
        existing: existing.clone(),
        list,
        template,
        after: Vec::new(),
        retain: Vec::new(),
    })
}

/// Puts each stack after all that use it. What the manifest no longer has may use any of the shared stacks: it goes first.
fn order(stacks: &mut [Doomed], plan: &Plan) {
    let planned = |name: &str| plan.stacks.iter().find(|stack| stack.name == name);
    let names: Vec<String> = stacks.iter().map(|one| one.stack.clone()).collect();
    for one in stacks.iter_mut() {
        let uses = |other: &String| {
            planned(other).map_or(planned(&one.stack).is_some(), |stack| {
                stack.depends_on.contains(&one.stack)
            })
        };
        one.after = names
            .iter()
            .filter(|other| **other != one.stack && uses(other))
            .cloned()
            .collect();
    }
    let mut steps: HashMap<String, usize> = HashMap::new();
    // A round settles at least one stack, since the plan has no circle.
    for _ in 0..stacks.len() {
        for one in stacks.iter_mut() {
            let before = one.after.iter().map(|user| steps.get(user).copied().unwrap_or(1)).max();
            one.step = before.map_or(1, |step| step + 1);
            steps.insert(one.stack.clone(), one.step);
        }
    }
    stacks.sort_by(|a, b| (a.step, &a.stack).cmp(&(b.step, &b.stack)));
}

/// Notes which resources are to be left alone: `LOGICAL_ID` or `STACK/LOGICAL_ID`, of those whose deletion has failed.
///
/// CloudFormation leaves resources alone in a stack in DELETE_FAILED only (API_DeleteStack, RetainResources). A creation whose
/// rollback has failed becomes that when its deletion fails once more.
fn kept_back(stacks: &mut [Doomed], plan: &Plan, retain: &[String]) -> Result<()> {
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    for wanted in retain {
        let (mut known, mut too_early) = (false, None);
        for one in stacks.iter_mut() {
            let short = one.stack.strip_prefix(&prefix).unwrap_or(&one.stack).to_owned();
            let named = |id: &str| {
                *wanted == id || *wanted == format!("{short}/{id}") || *wanted == format!("{}/{id}", one.stack)
            };
            let note = match one.status.as_str() {
                "DELETE_FAILED" => "left alone, as --retain says",
                "ROLLBACK_FAILED" => {
                    "its deletion is tried once more, since CloudFormation leaves nothing alone before a deletion of the stack has \
                     failed; then it is left alone, as --retain says"
                }
                status => {
                    if one.list.iter().any(|resource| named(&resource.logical)) {
                        too_early = Some(format!("{} is in {status}", one.stack));
                    }
                    continue;
                }
            };
            let failed = one.list.iter().filter(|resource| resource.status == "DELETE_FAILED");
            let found: Vec<String> = failed.map(|r| r.logical.clone()).filter(|id| named(id)).collect();
            for holding in one.holds.iter_mut().filter(|holding| found.contains(&holding.resource)) {
                holding.fate = Fate::Kept;
                holding.note = Some(note.into());
            }
            known |= !found.is_empty();
            one.retain.extend(found);
        }
        if !known {
            let why = too_early.map_or_else(
                || "there is no such resource whose deletion has failed".to_owned(),
                |stack| format!("{stack}, and its deletion has not failed: `deployer destroy` deletes it whole"),
            );
            return Err(Error::Usage(format!(
                "--retain {wanted}: {why}; CloudFormation leaves a resource alone only in a stack in DELETE_FAILED"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::Manifest;

    pub fn plan(environment: &str) -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        crate::stacks::plan(&Manifest::load(&path, environment).expect("the manifest"))
    }

    pub fn doomed(stack: &str) -> Doomed {
        let existing = Existing {
            name: stack.into(),
            id: format!("arn:{stack}"),
            status: "CREATE_COMPLETE".into(),
            reason: None,
            parameters: BTreeMap::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
            changed: 0,
            protected: false,
        };
        Doomed {
            stack: stack.into(),
            status: existing.status.clone(),
            step: 0,
            resources: 1,
            holds: Vec::new(),
            protections: Vec::new(),
            existing,
            list: Vec::new(),
            template: None,
            after: Vec::new(),
            retain: Vec::new(),
        }
    }

    #[test]
    fn users_go_before_what_they_use_and_strangers_first() {
        let plan = plan("dev");
        let mut stacks: Vec<Doomed> = plan.stacks.iter().map(|stack| doomed(&stack.name)).collect();
        stacks.push(doomed("patient-management-dev-forgotten"));
        order(&mut stacks, &plan);
        let steps: Vec<String> = stacks
            .iter()
            .map(|one| {
                format!(
                    "{} {}",
                    one.step,
                    one.stack.trim_start_matches("patient-management-dev-")
                )
            })
            .collect();
        assert_eq!(steps.first().map(String::as_str), Some("1 forgotten"));
        assert!(steps.last().is_some_and(|last| last.ends_with(" network")), "{steps:?}");
        for one in &stacks {
            for user in &one.after {
                let user = stacks.iter().find(|other| other.stack == *user).expect("a stack");
                assert!(user.step < one.step, "{} before {}", user.stack, one.stack);
            }
        }
    }

    #[test]
    fn what_the_manifest_no_longer_has_is_known_by_our_tags() {
        let plan = plan("dev");
        let found = [
            ("patient-management-dev-former", Some("patient-management")),
            ("patient-management-dev-network", Some("patient-management")),
            ("patient-management-dev-eu-network", Some("patient-management-dev")),
            ("patient-management-dev-by-hand", None),
        ];
        let found = found.map(|(name, project)| {
            let mut existing = doomed(name).existing;
            let tags = project.map(|project| [("project", project), ("environment", "dev")]);
            let tags = tags.into_iter().flatten();
            existing.tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            (name.to_owned(), existing)
        });
        let gone = gone(&BTreeMap::from(found), &plan);
        assert_eq!(gone.into_keys().collect::<Vec<_>>(), ["patient-management-dev-former"]);
    }

    #[test]
    fn only_what_would_not_go_can_be_retained() {
        let plan = plan("dev");
        let mut one = doomed("patient-management-dev-network");
        let resource = |logical: &str, status: &str| Resource {
            logical: logical.into(),
            physical: "x".into(),
            kind: "AWS::EC2::VPC".into(),
            status: status.into(),
        };
        one.list = vec![resource("Vpc", "DELETE_FAILED"), resource("Subnet", "CREATE_COMPLETE")];
        let mut whole = vec![one.clone()];
        let early = kept_back(&mut whole, &plan, &["Vpc".into()]).expect_err("it can still be deleted whole");
        assert!(
            early
                .to_string()
                .contains("network is in CREATE_COMPLETE, and its deletion has not failed"),
            "{early}"
        );
        one.status = "ROLLBACK_FAILED".into();
        let mut rolled_back = vec![one.clone()];
        kept_back(&mut rolled_back, &plan, &["Vpc".into()]).expect("its deletion failed in the rollback");
        assert_eq!(rolled_back[0].retain, ["Vpc"]);
        one.status = "DELETE_FAILED".into();
        let mut failed = vec![one];
        assert!(kept_back(&mut failed, &plan, &["Subnet".into()]).is_err());
        kept_back(&mut failed, &plan, &["network/Vpc".into()]).expect("it failed");
        assert_eq!(failed[0].retain, ["Vpc"]);
    }
}
