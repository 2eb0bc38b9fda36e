//! Orphaned resources of an environment: in no stack, found by name and tag.
//!
//! Kinds that only this environment can own are deleted, the others are reported.

mod cleanup;
pub mod retained;
mod retention;
mod scan;

use std::collections::BTreeSet;
use std::fmt;

use platform::stacks::Plan;
use serde::Serialize;
use serde_json::Value;

pub use cleanup::delete;
pub use retention::set_retention;
pub use scan::{deletable, scan};

/// A resource of an environment that is in no stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanedResource {
    pub kind: OrphanKind,
    /// The name, id or ARN that identifies it in its service.
    pub name: String,
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanKind {
    LogGroup,
    TaskDefinition,
    Parameter,
    /// A template that an interrupted command did not delete from the bucket.
    Template,
    /// The bucket for large templates, when it contains no template of another environment.
    TemplateBucket,
    Vpc,
    NetworkInterface,
    Address,
    Repository,
    Cluster,
    KafkaCluster,
}

impl OrphanKind {
    fn description(self) -> &'static str {
        match self {
            Self::LogGroup => "log group",
            Self::TaskDefinition => "task definition",
            Self::Parameter => "SSM parameter",
            Self::Template => "uploaded template",
            Self::TemplateBucket => "template bucket",
            Self::Vpc => "VPC",
            Self::NetworkInterface => "network interface",
            Self::Address => "public address",
            Self::Repository => "image repository",
            Self::Cluster => "ECS cluster",
            Self::KafkaCluster => "Kafka cluster",
        }
    }
}

impl fmt::Display for OrphanedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.description(), self.name)?;
        match &self.note {
            Some(note) => write!(f, "; {note}"),
            None => Ok(()),
        }
    }
}

/// The result of a search for orphaned resources.
#[derive(Debug, Default)]
pub struct OrphanScan {
    pub found: Vec<OrphanedResource>,
    /// Kinds that the endpoint could not list, each with its error.
    pub unlisted: Vec<String>,
}

/// The names that identify the resources of one environment. They never match those of another one: the resources of
/// `shop-dev-two` do not belong to `shop-dev`.
#[derive(Debug, Clone)]
pub struct Scope {
    pub project: String,
    pub environment: String,
    /// `<project>-<env>`.
    pub prefix: String,
    /// Prefixes of the names of log groups.
    pub log_groups: BTreeSet<String>,
    /// Families of task definitions.
    pub families: BTreeSet<String>,
}

impl Scope {
    /// Returns the names from the plan and from the deployed templates, which include stacks that are no longer in the manifest.
    pub fn new<'a>(plan: &'a Plan, deployed: impl Iterator<Item = &'a Value>) -> Self {
        let prefix = format!("{}-{}", plan.project, plan.environment);
        let mut log_groups = BTreeSet::from([
            format!("/ecs/{prefix}/"),
            // Container Insights writes here. RDS writes its log exports under the instance's name. None of them expires.
            format!("/aws/ecs/containerinsights/{prefix}/"),
        ]);
        let mut families = BTreeSet::new();
        for stack in &plan.stacks {
            for (logical, resource) in resources(&stack.template) {
                if resource["Type"] == "AWS::RDS::DBInstance" {
                    let instance = format!("{}-{logical}-", stack.name).to_lowercase();
                    log_groups.insert(format!("/aws/rds/instance/{instance}"));
                }
            }
        }
        let planned = plan.stacks.iter().map(|stack| &stack.template);
        for template in planned.chain(deployed) {
            for (_, resource) in resources(template) {
                if resource["Type"] == "AWS::ECS::TaskDefinition"
                    && let Some(family) = resource["Properties"]["Family"].as_str()
                {
                    families.insert(family.to_owned());
                }
            }
        }
        Self {
            project: plan.project.clone(),
            environment: plan.environment.clone(),
            prefix,
            log_groups,
            families,
        }
    }

    /// The prefix of deployer's own SSM parameters.
    pub fn parameter_prefix(&self) -> String {
        format!("/deployer/{}/", self.prefix)
    }
}

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    template["Resources"].as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_names_of_one_environment_do_not_match_another_one() {
        let plan = crate::command::testing::plan("dev");
        let old =
            json!({ "Resources": { "T": { "Type": "AWS::ECS::TaskDefinition", "Properties": { "Family": "old" } } } });
        let scope = Scope::new(&plan, std::iter::once(&old));
        assert!(scope.families.contains("shop-dev-web") && scope.families.contains("old"));
        let owned = |name: &str| scope.log_groups.iter().any(|prefix| name.starts_with(prefix));
        assert!(owned("/ecs/shop-dev/web"));
        assert!(owned("/aws/rds/instance/shop-dev-data-ordersdatabase-1x2y/postgresql"));
        assert!(!owned("/ecs/shop-dev-two/web"));
        assert!(!owned(
            "/aws/rds/instance/shop-dev-two-data-ordersdatabase-1x2y/postgresql"
        ));
    }
}
