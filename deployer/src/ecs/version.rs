//! Which image each service runs, against the one that its stack declares and the one that was built last.

use std::collections::BTreeMap;

use serde::Serialize;

use super::serving::Standing;
use super::swapped::{Entry, Swapped};
use crate::cloudformation::Existing;
use crate::error::Result;
use crate::stacks::{Plan, Source};
use crate::target::Aws;

/// The images of one service, as `REPOSITORY@sha256:…` or however they are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Version {
    pub service: String,
    /// What the task definition of the running deployment names.
    pub running: Option<String>,
    /// What the deployed stack's parameter says.
    pub declared: Option<String>,
    /// Digest of the image that was built last on this machine, whether it was deployed or not.
    pub built: Option<String>,
    /// What `up --code` has noted of this service.
    pub swapped: Option<Entry>,
}

/// The versions of the services that stand, in their order.
pub async fn versions(
    aws: &Aws,
    plan: &Plan,
    existing: &BTreeMap<String, Existing>,
    standing: &[Standing],
) -> Result<Vec<Version>> {
    let swapped = Swapped::load(aws, &plan.project, &plan.environment);
    let running = futures::future::try_join_all(standing.iter().map(|service| running(aws, service)));
    let (swapped, running) = tokio::try_join!(swapped, running)?;
    let found = standing.iter().zip(running).map(|(standing, running)| Version {
        service: standing.service.clone(),
        running,
        declared: declared(plan, existing, &standing.service),
        built: built(plan, &standing.service),
        swapped: swapped.services.get(&standing.service).cloned(),
    });
    Ok(found.collect())
}

impl Version {
    /// The first characters of the running image's digest, or its tag.
    pub fn short(&self) -> String {
        self.running.as_deref().map_or_else(|| "-".to_owned(), short)
    }

    /// What there is to say of it, in a few words.
    pub fn verdict(&self) -> String {
        let Some(running) = &self.running else {
            return "-".to_owned();
        };
        let (now, declared) = (digest(running), self.declared.as_deref().map(digest));
        let swapped = self.swapped.as_ref().filter(|entry| digest(&entry.image) == now);
        match (declared, swapped, self.built.as_deref()) {
            (Some(declared), Some(entry), _) if declared != now => {
                format!(
                    "swapped by `up --code` at {}; its stack has {}",
                    seconds(&entry.at),
                    short(declared)
                )
            }
            (Some(declared), None, _) if declared != now => format!("its stack has {}", short(declared)),
            (None, ..) => "its stack names no image".to_owned(),
            (_, _, Some(built)) if built != now => format!("as declared; {} is built, not deployed", short(built)),
            _ => "as declared".to_owned(),
        }
    }
}

async fn running(aws: &Aws, standing: &Standing) -> Result<Option<String>> {
    let Some(definition) = &standing.task_definition else {
        return Ok(None);
    };
    let request = aws.ecs.describe_task_definition().task_definition(definition);
    let answer = request.send().await?;
    let containers = answer
        .task_definition()
        .map(|found| found.container_definitions())
        .unwrap_or_default();
    let own = containers
        .iter()
        .find(|container| container.name() == Some(&standing.service));
    Ok(own
        .or(containers.first())
        .and_then(|container| container.image())
        .map(str::to_owned))
}

fn declared(plan: &Plan, existing: &BTreeMap<String, Existing>, of: &str) -> Option<String> {
    plan.stacks.iter().find_map(|planned| {
        let image = planned
            .parameters
            .iter()
            .find(|parameter| matches!(&parameter.source, Source::Image { service, .. } if service == of))?;
        existing.get(&planned.name)?.parameters.get(&image.name).cloned()
    })
}

/// Read from the image's layout, since to compile is what nobody waits for here.
fn built(plan: &Plan, of: &str) -> Option<String> {
    let image = plan.images.iter().find(|image| image.service == of)?;
    let index = image.workspace.join("target/oci").join(of).join("index.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(index).ok()?).ok()?;
    index["manifests"][0]["digest"].as_str().map(str::to_owned)
}

/// The digest of a reference that has one; else the whole reference.
fn digest(image: &str) -> &str {
    image.rsplit_once('@').map_or(image, |(_, digest)| digest)
}

/// A time without its fraction of a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

fn short(image: &str) -> String {
    match digest(image).strip_prefix("sha256:") {
        Some(hex) => hex.chars().take(12).collect(),
        None => image.rsplit('/').next().unwrap_or(image).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(running: &str, declared: &str, built: Option<&str>, swapped: Option<&str>) -> Version {
        let whole = |digest: &str| format!("registry/shop-dev/cart@sha256:{digest}");
        Version {
            service: "cart".into(),
            running: Some(whole(running)),
            declared: Some(whole(declared)),
            built: built.map(|digest| format!("sha256:{digest}")),
            swapped: swapped.map(|digest| Entry {
                image: whole(digest),
                task_definition: "arn".into(),
                at: "2026-01-02T03:04:05Z".into(),
            }),
        }
    }

    #[test]
    fn a_version_says_how_it_differs_from_what_is_declared() {
        let (one, two) = ("1111111111111111", "2222222222222222");
        assert_eq!(version(one, one, None, None).verdict(), "as declared");
        assert_eq!(version(one, one, Some(one), None).verdict(), "as declared");
        assert_eq!(
            version(one, one, Some(two), None).verdict(),
            "as declared; 222222222222 is built, not deployed"
        );
        assert_eq!(
            version(two, one, Some(two), Some(two)).verdict(),
            "swapped by `up --code` at 2026-01-02T03:04:05Z; its stack has 111111111111"
        );
        // What a full `up` has reconciled, or somebody else has changed, is not called a swap.
        assert_eq!(version(one, one, None, Some(two)).verdict(), "as declared");
        assert_eq!(version(two, one, None, None).verdict(), "its stack has 111111111111");
        assert_eq!(version(two, one, None, None).short(), "222222222222");
        assert_eq!(
            Version {
                running: Some("docker.io/library/nginx:1.27".into()),
                ..Version::default()
            }
            .short(),
            "nginx:1.27"
        );
    }
}
