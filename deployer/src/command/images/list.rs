//! `deployer images ls`: the built and the deployed images, by digest.

use std::collections::BTreeMap;

use serde_json::json;

use super::megabytes;
use crate::context::Session;
use crate::error::Result;
use crate::image::{self, BuiltImage};
use aws::cloudformation;
use platform::stacks::{Plan, Source};
use ui::table::table;

/// List the images of the services: their crates, the images built here, and the deployed ones.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let deployed = match deployed(session, &plan).await {
        // The images built here are known without an endpoint.
        Err(error) if error.is_unreachable() => {
            session.ui.warn(format!("the deployed images are unknown: {error}"));
            None
        }
        known => Some(known?),
    };
    let mut rows = vec![
        ["SERVICE", "CRATE", "SIZE", "BUILT", "DEPLOYED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut values = Vec::new();
    for image in &plan.images {
        let built = BuiltImage::load(&image::spec(image));
        let deployed = deployed.as_ref().map(|all| all.get(&image.service));
        values.push(json!({
            "service": image.service,
            "crate": image.package,
            "image": deployed.flatten(),
            "digest": built.as_ref().map(|built| &built.digest),
            "bytes": built.as_ref().map(BuiltImage::bytes),
        }));
        let none = || "none".to_owned();
        let digest = built.as_ref().map(|built| built.digest.clone());
        let deployed = match deployed {
            None => "unknown".to_owned(),
            Some(None) => none(),
            // The same image: its digest is shown once.
            Some(Some(image)) if digest.as_ref().is_some_and(|digest| image.ends_with(digest)) => "this".to_owned(),
            Some(Some(image)) => image.clone(),
        };
        rows.push(vec![
            image.service.clone(),
            image.package.clone(),
            built.map_or_else(|| "-".to_owned(), |built| megabytes(built.bytes())),
            digest.unwrap_or_else(none),
            deployed,
        ]);
    }
    session.ui.data("images", json!(values), &table(&rows));
    Ok(())
}

/// Returns the image of each service in the parameters of its stack.
async fn deployed(session: &Session, plan: &Plan) -> Result<BTreeMap<String, String>> {
    let aws = session.connect().await?;
    let existing = cloudformation::list_stacks(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let mut found = BTreeMap::new();
    for planned in &plan.stacks {
        for parameter in &planned.parameters {
            if let Source::Image { service, .. } = &parameter.source
                && let Some(stack) = existing.get(&planned.name)
                && let Some(image) = stack.parameters.get(&parameter.name)
            {
                found.insert(service.clone(), image.clone());
            }
        }
    }
    Ok(found)
}
