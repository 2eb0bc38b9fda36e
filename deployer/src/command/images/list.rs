//! `deployer images ls`: what is built, and what runs, by digest.

use std::collections::BTreeMap;

use serde_json::json;

use super::megabytes;
use crate::cloudformation::stack;
use crate::error::{Error, Result};
use crate::image::{self, BuiltImage};
use crate::stacks::{Plan, Source};
use crate::target::Session;
use ui::table::table;

/// List the services' images: the crate each is built from, what is built of it here, and what is deployed.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let deployed = match deployed(session, &plan).await {
        // What is built here can be told without any endpoint.
        Err(error @ (Error::NoEndpoint { .. } | Error::Unreachable { .. })) => {
            session.ui.warn(format!("what is deployed is not known: {error}"));
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
        let runs = deployed.as_ref().map(|all| all.get(&image.service));
        values.push(json!({
            "service": image.service,
            "crate": image.package,
            "image": runs.flatten(),
            "digest": built.as_ref().map(|built| &built.digest),
            "bytes": built.as_ref().map(BuiltImage::bytes),
        }));
        let none = || "none".to_owned();
        let digest = built.as_ref().map(|built| built.digest.clone());
        let runs = match runs {
            None => "unknown".to_owned(),
            Some(None) => none(),
            // The same image is told by its digest once.
            Some(Some(runs)) if digest.as_ref().is_some_and(|digest| runs.ends_with(digest)) => "this".to_owned(),
            Some(Some(runs)) => runs.clone(),
        };
        rows.push(vec![
            image.service.clone(),
            image.package.clone(),
            built.map_or_else(|| "-".to_owned(), |built| megabytes(built.bytes())),
            digest.unwrap_or_else(none),
            runs,
        ]);
    }
    session.ui.data("images", json!(values), &table(&rows));
    Ok(())
}

/// The image of each service that CloudFormation was given.
async fn deployed(session: &Session, plan: &Plan) -> Result<BTreeMap<String, String>> {
    let aws = session.connect().await?;
    let existing = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
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
