//! The images of the services: running, declared by their stacks, and built last.

use std::collections::BTreeMap;

use aws::cloudformation;
use aws::ecs::{self, HotswapEntry, HotswapState, ServiceStatus, running_image};
use platform::stacks::{Plan, Source};
use serde::Serialize;

/// The images of one service, as `REPOSITORY@sha256:…` or as the template names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServiceVersion {
    pub service: String,
    /// The image in the task definition of the running deployment.
    pub running: Option<String>,
    /// The image in the parameter of the deployed stack.
    pub declared: Option<String>,
    /// The digest of the image that was built last on this machine, deployed or not.
    pub built: Option<String>,
    /// The last hotswap of the service since the last full `up`.
    #[serde(rename = "swapped")]
    pub hotswap: Option<HotswapEntry>,
}

/// Returns the versions of the deployed services, in their order.
///
/// # Errors
/// The state of hotswaps or a task definition cannot be read.
pub async fn service_versions(
    aws: &aws::Session,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
    services: &[ServiceStatus],
) -> ecs::Result<Vec<ServiceVersion>> {
    let hotswaps = HotswapState::load(aws, &plan.project, &plan.environment);
    let running = futures::future::try_join_all(services.iter().map(|service| running(aws, service)));
    let (hotswaps, running) = tokio::try_join!(hotswaps, running)?;
    let found = services.iter().zip(running).map(|(service, running)| ServiceVersion {
        service: service.service.clone(),
        running,
        declared: declared(plan, existing, &service.service),
        built: built(plan, &service.service),
        hotswap: hotswaps.services.get(&service.service).cloned(),
    });
    Ok(found.collect())
}

impl ServiceVersion {
    /// Returns the first characters of the running image's digest, or its tag.
    pub fn short_image(&self) -> String {
        self.running.as_deref().map_or_else(|| "-".to_owned(), short)
    }

    /// Describes how the running image differs from the declared and the built one.
    pub fn comparison(&self) -> String {
        let Some(running) = &self.running else {
            return "-".to_owned();
        };
        let (now, declared) = (digest(running), self.declared.as_deref().map(digest));
        let hotswap = self.hotswap.as_ref().filter(|entry| digest(&entry.image) == now);
        match (declared, hotswap, self.built.as_deref()) {
            (Some(declared), Some(entry), _) if declared != now => {
                format!(
                    "replaced by `up --code` at {}; its stack has {}",
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

async fn running(aws: &aws::Session, service: &ServiceStatus) -> ecs::Result<Option<String>> {
    match &service.task_definition {
        Some(definition) => running_image(aws, definition, &service.service).await,
        None => Ok(None),
    }
}

fn declared(plan: &Plan, existing: &BTreeMap<String, cloudformation::Stack>, of: &str) -> Option<String> {
    plan.stacks.iter().find_map(|planned| {
        let image = planned
            .parameters
            .iter()
            .find(|parameter| matches!(&parameter.source, Source::Image { service, .. } if service == of))?;
        existing.get(&planned.name)?.parameters.get(&image.name).cloned()
    })
}

/// Reads the digest from the image's layout, without a build.
fn built(plan: &Plan, of: &str) -> Option<String> {
    let image = plan.images.iter().find(|image| image.service == of)?;
    let index = image.workspace.join("target/oci").join(of).join("index.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(index).ok()?).ok()?;
    index["manifests"][0]["digest"].as_str().map(str::to_owned)
}

/// Returns the digest of an image reference; the whole reference if it has none.
fn digest(image: &str) -> &str {
    image.rsplit_once('@').map_or(image, |(_, digest)| digest)
}

/// Returns a time without its fraction of a second.
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

    fn version(running: &str, declared: &str, built: Option<&str>, hotswap: Option<&str>) -> ServiceVersion {
        let whole = |digest: &str| format!("registry/shop-dev/cart@sha256:{digest}");
        ServiceVersion {
            service: "cart".into(),
            running: Some(whole(running)),
            declared: Some(whole(declared)),
            built: built.map(|digest| format!("sha256:{digest}")),
            hotswap: hotswap.map(|digest| HotswapEntry {
                image: whole(digest),
                task_definition: "arn".into(),
                at: "2026-01-02T03:04:05Z".into(),
            }),
        }
    }

    #[test]
    fn the_running_image_is_compared_with_the_declared_and_the_built_one() {
        let (one, two) = ("1111111111111111", "2222222222222222");
        assert_eq!(version(one, one, None, None).comparison(), "as declared");
        assert_eq!(version(one, one, Some(one), None).comparison(), "as declared");
        assert_eq!(
            version(one, one, Some(two), None).comparison(),
            "as declared; 222222222222 is built, not deployed"
        );
        assert_eq!(
            version(two, one, Some(two), Some(two)).comparison(),
            "replaced by `up --code` at 2026-01-02T03:04:05Z; its stack has 111111111111"
        );
        // A change by a full `up`, or outside deployer, is not reported as a hotswap.
        assert_eq!(version(one, one, None, Some(two)).comparison(), "as declared");
        assert_eq!(version(two, one, None, None).comparison(), "its stack has 111111111111");
        assert_eq!(version(two, one, None, None).short_image(), "222222222222");
        assert_eq!(
            ServiceVersion {
                running: Some("docker.io/library/nginx:1.27".into()),
                ..ServiceVersion::default()
            }
            .short_image(),
            "nginx:1.27"
        );
    }
}
