//! `deployer images push`: builds, and uploads the layers that the registry lacks.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde_json::json;

use super::pack::pack;
use super::send::send;
use super::{Services, tag};
use crate::context::Session;
use crate::error::{ArgumentError, Error, Result};
use crate::image::{Credentials, credentials, registry_credentials};
use aws::cloudformation;
use platform::stacks::{Image, Source};

/// The number of parallel uploads.
const PARALLEL_UPLOADS: usize = 4;

/// Build the images of the services and push them, to the environment's repositories or to another registry.
///
/// Layers that the registry has are not sent again. The credentials for --registry are `DEPLOYER_REGISTRY_USERNAME` and
/// `DEPLOYER_REGISTRY_PASSWORD`, or those of `docker login`. A registry on loopback is used without TLS. Exit code 3 if the registry
/// rejects the credentials.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
    /// Push to HOST/NAME/SERVICE instead of the repositories that `deployer up` creates.
    #[arg(long, value_name = "HOST/NAME")]
    registry: Option<String>,
    /// Additional tag; every image has a tag derived from its digest.
    #[arg(long, value_parser = tag)]
    tag: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let images = args.services.of(&plan)?;
    let animation = session.ui.animate();
    // Resolved before the build, so that a wrong argument fails at once.
    let (repositories, credentials) = match &args.registry {
        Some(registry) => given_registry(registry, &images).await?,
        None => environment_registry(session, &images).await?,
    };
    let packed = pack(&session.ui, images).await?;
    let (ui, tag, credentials) = (&session.ui, args.tag.as_deref(), credentials.as_ref());
    let pushed: Vec<(String, String)> = futures::stream::iter(&repositories)
        .map(|(service, repository)| {
            let built = &packed[service];
            async move {
                let digest = send(ui, built, repository, tag, credentials).await?;
                Ok::<_, Error>((service.clone(), format!("{repository}@{digest}")))
            }
        })
        .buffered(PARALLEL_UPLOADS)
        .try_collect()
        .await?;
    drop(animation);
    let values: Vec<_> = pushed
        .iter()
        .map(|(service, image)| json!({ "service": service, "image": image }))
        .collect();
    let lines: Vec<&str> = pushed.iter().map(|(_, image)| image.as_str()).collect();
    session.ui.data("images", json!(values), &lines.join("\n"));
    Ok(())
}

/// The repository of each service.
type Repositories = BTreeMap<String, String>;

async fn given_registry(registry: &str, images: &[Image]) -> Result<(Repositories, Option<Credentials>)> {
    let registry = registry.trim_end_matches('/');
    let host = registry.split('/').next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains(['.', ':']);
    if registry.contains("://") || registry.contains('@') || !is_host {
        return Err(ArgumentError::Registry {
            registry: registry.to_owned(),
        }
        .into());
    }
    let repositories = images
        .iter()
        .map(|image| (image.service.clone(), format!("{registry}/{}", image.service)))
        .collect();
    Ok((repositories, credentials(host).await?))
}

/// Returns the repositories of the environment's registry stack, with credentials.
async fn environment_registry(session: &Session, images: &[Image]) -> Result<(Repositories, Option<Credentials>)> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let existing = cloudformation::list_stacks(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let parameters = plan.stacks.iter().flat_map(|planned| &planned.parameters);
    let mut repositories = Repositories::new();
    for parameter in parameters {
        if let Source::Image { service, stack, output } = &parameter.source
            && images.iter().any(|image| image.service == *service)
        {
            let uri = existing.get(stack).and_then(|stack| stack.outputs.get(output));
            let missing = || ArgumentError::NoRepository {
                stack: stack.clone(),
                service: service.clone(),
            };
            let address = aws.endpoint().push_address(uri.ok_or_else(missing)?);
            repositories.insert(service.clone(), address.ok_or(ArgumentError::NoRegistry)?);
        }
    }
    Ok((repositories, Some(registry_credentials(&aws).await?)))
}
