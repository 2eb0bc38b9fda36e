//! `deployer images push`: build, and upload what the registry lacks.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde_json::json;

use super::pack::pack;
use super::send::send;
use super::{Services, tag};
use crate::cloudformation::stack;
use crate::error::{Error, Result};
use crate::image::{Credentials, credentials};
use crate::stacks::{Image, Source};
use crate::target::Session;
use crate::target::registry::login;

/// How many images go up at a time.
const SIDE_BY_SIDE: usize = 4;

/// Build the services' images and push them: to the environment's repositories, or to any registry.
///
/// What the registry has is not sent again. For --registry the credentials are DEPLOYER_REGISTRY_USERNAME and
/// DEPLOYER_REGISTRY_PASSWORD, or what `docker login` has kept; a registry on loopback is spoken to without TLS. Exit code
/// 3 when the registry refuses them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
    /// Push to HOST/NAME/SERVICE instead of the repositories that `deployer up` has made.
    #[arg(long, value_name = "HOST/NAME")]
    registry: Option<String>,
    /// One more tag; every image has one that follows from its digest.
    #[arg(long, value_parser = tag)]
    tag: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let images = args.services.of(&plan)?;
    let animation = session.ui.animate();
    // Where to is known before the compiler is asked: a wrong word costs nothing.
    let (repositories, credentials) = match &args.registry {
        Some(registry) => elsewhere(registry, &images).await?,
        None => own(session, &images).await?,
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
        .buffered(SIDE_BY_SIDE)
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

async fn elsewhere(registry: &str, images: &[Image]) -> Result<(Repositories, Option<Credentials>)> {
    let registry = registry.trim_end_matches('/');
    let host = registry.split('/').next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains(['.', ':']);
    if registry.contains("://") || registry.contains('@') || !is_host {
        return Err(Error::Usage(format!(
            "--registry takes HOST/NAME, such as ghcr.io/someone or 127.0.0.1:5000/project, not '{registry}'"
        )));
    }
    let repositories = images
        .iter()
        .map(|image| (image.service.clone(), format!("{registry}/{}", image.service)))
        .collect();
    Ok((repositories, credentials(host).await?))
}

/// The repositories of the environment's registry stack.
async fn own(session: &Session, images: &[Image]) -> Result<(Repositories, Option<Credentials>)> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let existing = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let parameters = plan.stacks.iter().flat_map(|planned| &planned.parameters);
    let mut repositories = Repositories::new();
    for parameter in parameters {
        if let Source::Image { service, stack, output } = &parameter.source
            && images.iter().any(|image| image.service == *service)
        {
            let uri = existing.get(stack).and_then(|stack| stack.outputs.get(output));
            let missing = || {
                Error::Usage(format!(
                    "{stack} has no repository for {service} yet: `deployer up` makes it, or name a registry with --registry"
                ))
            };
            let address = aws.endpoint.push_address(uri.ok_or_else(missing)?);
            let nowhere = || Error::Usage("this endpoint has no registry to push to; name one with --registry".into());
            repositories.insert(service.clone(), address.ok_or_else(nowhere)?);
        }
    }
    Ok((repositories, Some(login(&aws).await?)))
}
