//! What a deployment leaves outside its stacks: found by name and tag, swept where it is ours alone, told otherwise.

mod find;
mod images;
pub mod interfaces;
pub mod remains;
mod sweep;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use find::{look, sweepable};
pub use images::{empty, images};
pub use sweep::sweep;

use crate::stacks::Plan;

/// A thing that belongs to an environment and that no stack holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    pub kind: Kind,
    /// Name, id or ARN: what its service calls it by.
    pub name: String,
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    LogGroup,
    TaskDefinition,
    Parameter,
    /// A template that an interrupted command left in the bucket.
    Template,
    /// The bucket through which large templates go, when nobody has anything in it.
    TemplateBucket,
    Vpc,
    NetworkInterface,
    Address,
    Repository,
    Cluster,
    KafkaCluster,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::LogGroup => "log group",
            Self::TaskDefinition => "task definition",
            Self::Parameter => "SSM parameter",
            Self::Template => "uploaded template",
            Self::TemplateBucket => "bucket for templates",
            Self::Vpc => "VPC",
            Self::NetworkInterface => "network interface",
            Self::Address => "public address",
            Self::Repository => "image repository",
            Self::Cluster => "ECS cluster",
            Self::KafkaCluster => "Kafka cluster",
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.words(), self.name)?;
        match &self.note {
            Some(note) => write!(f, "; {note}"),
            None => Ok(()),
        }
    }
}

/// What was found, and what the endpoint did not let us look at.
#[derive(Debug, Default)]
pub struct Seen {
    pub found: Vec<Leftover>,
    pub unseen: Vec<String>,
}

/// By which names the things of one environment are known. Each ends where another environment's begins: `shop-dev` must
/// not take what is `shop-dev-two`'s.
#[derive(Debug, Clone)]
pub struct Scope {
    pub project: String,
    pub environment: String,
    /// `<project>-<env>`.
    pub prefix: String,
    /// How the names of log groups begin that services write for us.
    pub log_groups: BTreeSet<String>,
    /// Families of task definitions.
    pub families: BTreeSet<String>,
}

impl Scope {
    /// From the manifest, and from the templates as deployed: what the manifest no longer has is ours, too.
    pub fn new<'a>(plan: &'a Plan, deployed: impl Iterator<Item = &'a Value>) -> Self {
        let prefix = format!("{}-{}", plan.project, plan.environment);
        let mut log_groups = BTreeSet::from([
            format!("/ecs/{prefix}/"),
            // Container Insights writes there, RDS' log exports below an instance's name; none of them expires.
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

    /// Where deployer's own parameters are.
    pub fn parameters(&self) -> String {
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
    fn the_names_of_one_environment_are_never_anothers() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let plan = crate::stacks::plan(&crate::manifest::Manifest::load(&path, "dev").expect("the manifest"));
        let old =
            json!({ "Resources": { "T": { "Type": "AWS::ECS::TaskDefinition", "Properties": { "Family": "old" } } } });
        let scope = Scope::new(&plan, std::iter::once(&old));
        assert!(scope.families.contains("patient-management-dev-api-gateway") && scope.families.contains("old"));
        let ours = |name: &str| scope.log_groups.iter().any(|prefix| name.starts_with(prefix));
        assert!(ours("/ecs/patient-management-dev/api-gateway"));
        assert!(ours(
            "/aws/rds/instance/patient-management-dev-data-patientdatabase-1x2y/postgresql"
        ));
        assert!(!ours("/ecs/patient-management-dev-two/api-gateway"));
        assert!(!ours(
            "/aws/rds/instance/patient-management-dev-two-data-patientdatabase-1x2y/postgresql"
        ));
    }
}
