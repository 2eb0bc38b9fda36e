//! `deployer estimate`: how long `up` will take.

use serde_json::json;

use crate::cloudformation::stack;
use crate::diff::{Change, compare};
use crate::error::Result;
use crate::estimate::price::{self, Money};
use crate::estimate::{DurationSource, Durations, Estimate, History, estimate};
use crate::stacks::{Plan, Stack};
use crate::target::{Aws, Session};

/// Estimate how long `up` will take, along the critical path, and what a month on AWS costs.
///
/// Compares with what is deployed where the target answers, else assumes a first deployment. A resource takes the median of
/// your own deployments to the same place, else rain's average on AWS. Building images comes on top, beside the first stacks.
/// Prices come from the AWS Price List API, with --target aws and credentials that allow pricing:GetProducts; there is no table of
/// them here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer estimate                                  what would change here, and how long it takes
  deployer estimate --target aws --env prod --from-scratch
  deployer estimate --json | jq .value.seconds

Exit codes: 0 estimated, also where nothing answers: then of a first deployment; 1 error.")]
pub struct Args {
    /// Assume that nothing is deployed, and ask no endpoint.
    #[arg(long)]
    from_scratch: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let mut from_scratch = args.from_scratch;
    let mut changes: Vec<(&Stack, Vec<Change>)> = Vec::new();
    // Once for both questions: nobody waits twice for what keeps silent.
    let aws = match from_scratch {
        true => None,
        false => Some(session.connect().await.map_err(|error| error.to_string())),
    };
    if let Some(aws) = &aws {
        let found = match aws {
            Ok(aws) => deployed(aws, &plan.stacks).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        match found {
            Ok(found) => changes = found,
            Err(error) => {
                session.ui.info(format!("assumes a first deployment: {error}"));
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
        history: History::load(&session.place()),
        on_aws: !session.is_local(),
    };
    let found = estimate(&changes, &durations);
    let money = money(session, aws, &plan).await;
    let text = match &money {
        Ok(money) => price::render(money),
        Err(reason) => format!("no price: {reason}\n"),
    };
    let mut value = json!(found);
    value["money"] = match &money {
        Ok(money) => json!(money),
        Err(reason) => json!({ "none": reason }),
    };
    let text = format!("{}\n{text}", render(&found, from_scratch));
    session.ui.data("estimate", value, &text);
    Ok(())
}

/// What a month of the whole plan costs, or why that is not known.
async fn money(session: &Session, aws: Option<Result<Aws, String>>, plan: &Plan) -> Result<Money, String> {
    if session.is_local() {
        return Err("nothing here is paid for; with --target aws, AWS is asked".into());
    }
    let found = match aws {
        None => return Err("--from-scratch asks no endpoint; without it, AWS is asked".into()),
        Some(Ok(aws)) => price::ask(&aws, plan).await.map_err(|error| error.to_string()),
        Some(Err(error)) => Err(error),
    };
    found.map_err(|error| format!("the AWS Price List API was not asked: {error}"))
}

async fn deployed<'a>(aws: &Aws, stacks: &'a [Stack]) -> Result<Vec<(&'a Stack, Vec<Change>)>> {
    let found = stacks.iter().map(|planned| async move {
        let existing = stack::find(aws, &planned.name)
            .await?
            .filter(|existing| !existing.is_leftover());
        let template = match existing {
            Some(existing) => stack::template(aws, &existing.name).await?,
            None => None,
        };
        Ok((planned, compare(template.as_ref(), &planned.template)))
    });
    futures::future::try_join_all(found).await
}

fn render(found: &Estimate, from_scratch: bool) -> String {
    let changes: usize = found.stacks.iter().map(|stack| stack.changes).sum();
    if changes == 0 {
        return "nothing changes in the templates: what `up` takes is building images and looking\n".to_owned();
    }
    let what = if from_scratch {
        "a first deployment"
    } else {
        "the changes"
    };
    if found.critical.is_empty() {
        return format!(
            "nobody has measured what {what} takes here ({changes} resources); the next `up` does, and the next estimate knows\n"
        );
    }
    let mut text = format!(
        "{what} take{} about {}\n\ncritical path:\n",
        if from_scratch { "s" } else { "" },
        words(found.seconds)
    );
    for step in &found.critical {
        let source = match step.source {
            Some(DurationSource::History) => "your own deployments",
            _ => "rain's average",
        };
        let seconds = words(step.seconds.unwrap_or_default());
        text.push_str(&format!(
            "  {seconds:>11}  {}/{}  {}  ({source})\n",
            step.stack, step.logical_id, step.resource_type
        ));
    }
    text.push_str("\nby stack:\n");
    for stack in found.stacks.iter().filter(|stack| stack.changes > 0) {
        text.push_str(&format!(
            "  {:>11}  {}  ({} resources)\n",
            words(stack.seconds),
            stack.stack,
            stack.changes
        ));
    }
    if !found.unknown.is_empty() {
        text.push_str(&format!(
            "\n{} other types have not been measured; they take seconds as a rule\n",
            found.unknown.len()
        ));
    }
    text
}

/// Seconds as people say them.
fn words(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) if minutes < 10 => format!("{minutes} min {seconds} s"),
        (minutes, _) => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_first_deployment_to_aws_takes_as_long_as_kafka() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let manifest = crate::manifest::Manifest::load(&path, "prod").expect("the manifest");
        let plan = crate::stacks::plan(&manifest);
        let changes: Vec<_> = plan
            .stacks
            .iter()
            .map(|stack| (stack, compare(None, &stack.template)))
            .collect();
        let found = estimate(
            &changes,
            &Durations {
                history: History::default(),
                on_aws: true,
            },
        );
        insta::assert_snapshot!(render(&found, true), @r"
        a first deployment takes about 36 min

        critical path:
            2 min 2 s  keys/Key  AWS::KMS::Key  (rain's average)
           1 min 46 s  network/NatGateway1  AWS::EC2::NatGateway  (rain's average)
               30 min  messaging/KafkaCluster  AWS::MSK::Cluster  (rain's average)
           1 min 59 s  analytics-service/Service  AWS::ECS::Service  (rain's average)

        by stack:
            2 min 2 s  patient-management-prod-keys  (1 resources)
                  0 s  patient-management-prod-alarms  (2 resources)
           1 min 46 s  patient-management-prod-network  (91 resources)
                  0 s  patient-management-prod-registry  (6 resources)
           9 min 55 s  patient-management-prod-data  (35 resources)
               30 min  patient-management-prod-messaging  (11 resources)
           1 min 56 s  patient-management-prod-platform  (6 resources)
           1 min 59 s  patient-management-prod-auth-service  (11 resources)
           1 min 59 s  patient-management-prod-analytics-service  (13 resources)
           1 min 59 s  patient-management-prod-billing-service  (11 resources)
           1 min 59 s  patient-management-prod-notification-service  (13 resources)
           1 min 59 s  patient-management-prod-patient-service  (13 resources)
           1 min 59 s  patient-management-prod-api-gateway  (18 resources)
                  0 s  patient-management-prod-dashboard  (1 resources)

        35 other types have not been measured; they take seconds as a rule
        ");
    }
}
