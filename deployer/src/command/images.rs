//! `deployer images`: what runs, by digest.

use serde_json::json;

use crate::cloudformation::stack;
use crate::error::Result;
use crate::stacks::Source;
use crate::target::Session;
use crate::ui::table::table;

/// List the services' images: the crate each is built from, and the digest that is deployed.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let existing = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let mut rows = vec![["SERVICE", "CRATE", "DEPLOYED IMAGE"].map(str::to_owned).to_vec()];
    let mut values = Vec::new();
    for image in &plan.images {
        let deployed = plan.stacks.iter().find_map(|planned| {
            let is_image =
                |source: &Source| matches!(source, Source::Image { service, .. } if *service == image.service);
            let parameter = planned
                .parameters
                .iter()
                .find(|parameter| is_image(&parameter.source))?;
            existing.get(&planned.name)?.parameters.get(&parameter.name).cloned()
        });
        values.push(json!({ "service": image.service, "crate": image.package, "image": deployed }));
        rows.push(vec![
            image.service.clone(),
            image.package.clone(),
            deployed.unwrap_or_else(|| "none".into()),
        ]);
    }
    session.ui.data("images", json!(values), &table(&rows));
    Ok(())
}
