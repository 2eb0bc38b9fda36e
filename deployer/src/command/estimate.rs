//! `deployer estimate`: the duration of `up`, and the cost of a month.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::context::Session;
use crate::error::{Error, Result};
use crate::estimate::price::{self, CostEstimate};
use crate::estimate::{DurationSource, Durations, Estimate, History, estimate};
use aws::cloudformation;
use cfn::diff::{Change, compare};
use platform::stacks::{Plan, Stack};

/// Estimate the duration of `up` along its critical path, and the cost of a month on AWS.
///
/// Compares with what is deployed; without an endpoint, assumes a first deployment. The duration of a resource is the median of your
/// own deployments to the same endpoint, or the average of `rain forecast` on AWS. Building images is not included: it runs in
/// parallel with the first stacks. Prices come from the AWS Price List API, with --target aws and permission for
/// pricing:GetProducts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer estimate                                  of the changes, on this machine
  deployer estimate --target aws --env prod --from-scratch
  deployer estimate --json | jq .value.seconds

Exit codes: 0 estimated (without an endpoint: a first deployment); 1 error.")]
pub struct Args {
    /// Assume a first deployment, and ask no endpoint.
    #[arg(long)]
    from_scratch: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let mut from_scratch = args.from_scratch;
    let mut changes: Vec<(&Stack, Vec<Change>)> = Vec::new();
    // One connection for both questions, so that an endpoint that does not respond is waited for once.
    let aws = if from_scratch {
        None
    } else {
        Some(session.connect().await.map_err(|error| Arc::new(Error::from(error))))
    };
    if let Some(aws) = &aws {
        let found = match aws {
            Ok(aws) => deployed(aws, &plan.stacks).await.map_err(Arc::new),
            Err(error) => Err(error.clone()),
        };
        match found {
            Ok(found) => changes = found,
            Err(error) => {
                session.ui.info(format!("assuming a first deployment: {error}"));
                from_scratch = true;
            }
        }
    }
    if from_scratch {
        changes = plan
            .stacks
            .iter()
            .map(|stack| (stack, compare(None, &stack.template)))
            .collect();
    }
    let durations = Durations {
        history: History::load(&session.endpoint_name()),
        on_aws: !session.is_local(),
    };
    let found = estimate(&changes, &durations);
    let cost = cost(session, aws, &plan).await;
    let text = match &cost {
        Ok(cost) => price::render(cost),
        Err(reason) => format!("no price: {reason}\n"),
    };
    let mut value = json!(found);
    value["cost"] = match &cost {
        Ok(cost) => json!(cost),
        Err(reason) => json!({ "unknown": reason.to_string() }),
    };
    let text = format!("{}\n{text}", render(&found, from_scratch));
    session.ui.data("estimate", value, &text);
    Ok(())
}

/// The reason why the cost is not known.
#[derive(Debug, thiserror::Error)]
enum CostUnknown {
    #[error("the local target is free; use --target aws")]
    Local,
    #[error("--from-scratch asks no endpoint")]
    FromScratch,
    #[error("the AWS Price List API was not asked: {0}")]
    NotAsked(#[source] Arc<Error>),
}

/// Asks AWS for the cost of a month of the complete plan.
async fn cost(
    session: &Session,
    aws: Option<Result<aws::Session, Arc<Error>>>,
    plan: &Plan,
) -> Result<CostEstimate, CostUnknown> {
    if session.is_local() {
        return Err(CostUnknown::Local);
    }
    match aws {
        None => Err(CostUnknown::FromScratch),
        Some(Ok(aws)) => price::ask(&aws, plan)
            .await
            .map_err(|error| CostUnknown::NotAsked(Arc::new(error.into()))),
        Some(Err(error)) => Err(CostUnknown::NotAsked(error)),
    }
}

async fn deployed<'a>(aws: &aws::Session, stacks: &'a [Stack]) -> Result<Vec<(&'a Stack, Vec<Change>)>> {
    let found = stacks.iter().map(|planned| async move {
        let existing = cloudformation::find_stack(aws, &planned.name)
            .await?
            .filter(|existing| !existing.is_failed_create());
        let template = match existing {
            Some(existing) => cloudformation::stack_template(aws, &existing.name).await?,
            None => None,
        };
        Ok((planned, compare(template.as_ref(), &planned.template)))
    });
    futures::future::try_join_all(found).await
}

fn render(found: &Estimate, from_scratch: bool) -> String {
    let changes: usize = found.stacks.iter().map(|stack| stack.changes).sum();
    if changes == 0 {
        return "the templates do not change; `up` only builds images and checks the stacks\n".to_owned();
    }
    let subject = if from_scratch {
        "a first deployment"
    } else {
        "the changes"
    };
    if found.critical.is_empty() {
        let resources = resources(changes);
        return format!(
            "the duration of {subject} ({resources}) is unknown: no such resource was deployed here before; `up` measures it\n"
        );
    }
    let mut text = format!(
        "{subject} take{} about {}\n\ncritical path:\n",
        if from_scratch { "s" } else { "" },
        duration(found.seconds)
    );
    for step in &found.critical {
        let source = match step.source {
            Some(DurationSource::History) => "your own deployments",
            _ => "average of rain",
        };
        let seconds = duration(step.seconds.unwrap_or_default());
        text.push_str(&format!(
            "  {seconds:>11}  {}/{}  {}  ({source})\n",
            step.stack, step.logical_id, step.resource_type
        ));
    }
    text.push_str("\nby stack:\n");
    for stack in found.stacks.iter().filter(|stack| stack.changes > 0) {
        text.push_str(&format!(
            "  {:>11}  {}  ({})\n",
            duration(stack.seconds),
            stack.stack,
            resources(stack.changes)
        ));
    }
    if !found.unknown.is_empty() {
        text.push_str(&format!(
            "\n{} other types are not measured; they usually take seconds\n",
            found.unknown.len()
        ));
    }
    text
}

fn resources(count: usize) -> String {
    match count {
        1 => "1 resource".to_owned(),
        count => format!("{count} resources"),
    }
}

/// Formats seconds with their largest units.
fn duration(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds.round()).map_or(0, |whole| whole.as_secs());
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) if minutes < 10 => format!("{minutes} min {seconds} s"),
        (minutes, _) => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::plan;

    #[test]
    fn kafka_dominates_a_first_deployment_to_aws() {
        let plan = plan("prod");
        let changes: Vec<_> = plan
            .stacks
            .iter()
            .map(|stack| (stack, compare(None, &stack.template)))
            .collect();
        let durations = Durations {
            history: History::default(),
            on_aws: true,
        };
        insta::assert_snapshot!(render(&estimate(&changes, &durations), true), @"
        a first deployment takes about 38 min

        critical path:
            2 min 2 s  keys/Key  AWS::KMS::Key  (average of rain)
           1 min 46 s  network/NatGateway1  AWS::EC2::NatGateway  (average of rain)
               30 min  messaging/KafkaCluster  AWS::MSK::Cluster  (average of rain)
           1 min 59 s  orders/Service  AWS::ECS::Service  (average of rain)
           1 min 59 s  web/Service  AWS::ECS::Service  (average of rain)

        by stack:
            2 min 2 s  shop-prod-keys  (1 resource)
                  0 s  shop-prod-alarms  (2 resources)
           1 min 46 s  shop-prod-network  (59 resources)
                  0 s  shop-prod-registry  (3 resources)
           9 min 55 s  shop-prod-data  (15 resources)
               30 min  shop-prod-messaging  (12 resources)
           1 min 56 s  shop-prod-platform  (6 resources)
           1 min 59 s  shop-prod-mailer  (12 resources)
           1 min 59 s  shop-prod-orders  (13 resources)
           1 min 59 s  shop-prod-web  (18 resources)
                  0 s  shop-prod-dashboard  (1 resource)

        35 other types are not measured; they usually take seconds
        ");
    }
}
