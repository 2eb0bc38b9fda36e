//! The values of a stack's parameters: outputs of other stacks, brokers, images.

use std::collections::BTreeMap;

use super::images::Pipeline;
use crate::cloudformation::Existing;
use crate::error::{Error, Result};
use crate::stacks::{Source, Stack};
use crate::target::Aws;

/// Where an image's reference comes from.
#[derive(Clone, Copy)]
pub enum Images<'a> {
    /// Built, and pushed where it is not there yet.
    Built(&'a Pipeline),
    /// What is deployed now: for looking, not for changing.
    Deployed,
}

/// The value of every parameter of a stack. An error names what is missing.
pub async fn resolve(
    aws: &Aws,
    stack: &Stack,
    former: Option<&Existing>,
    existing: impl Fn(&str) -> Option<Existing>,
    images: Images<'_>,
) -> Result<BTreeMap<String, String>> {
    let output_of = |other: &str, output: &str| -> Result<String> {
        let found = existing(other).and_then(|stack| stack.outputs.get(output).cloned());
        found.ok_or_else(|| {
            Error::Plan(format!(
                "{} needs the output {output} of {other}, which is not there",
                stack.name
            ))
        })
    };
    let mut values = BTreeMap::new();
    for parameter in &stack.parameters {
        let before = former.and_then(|former| former.parameters.get(&parameter.name));
        let value = match &parameter.source {
            Source::Literal(value) => value.clone(),
            Source::Output { stack, output } => output_of(stack, output)?,
            Source::BootstrapBrokers { stack, output, iam } => {
                brokers(aws, &output_of(stack, output)?, *iam, before.map(String::as_str)).await?
            }
            Source::Image {
                service,
                stack: repository,
                output,
            } => match images {
                Images::Built(pipeline) => pipeline.reference(service, &output_of(repository, output)?).await?,
                Images::Deployed => {
                    let missing = || Error::Plan(format!("no image of {service} is deployed yet"));
                    before.cloned().ok_or_else(missing)?
                }
            },
        };
        values.insert(parameter.name.clone(), value);
    }
    Ok(values)
}

async fn brokers(aws: &Aws, cluster: &str, iam: bool, before: Option<&str>) -> Result<String> {
    let answer = aws.kafka.get_bootstrap_brokers().cluster_arn(cluster).send().await?;
    let found = if iam {
        answer.bootstrap_broker_string_sasl_iam()
    } else {
        answer
            .bootstrap_broker_string()
            .or(answer.bootstrap_broker_string_tls())
    };
    let kind = if iam { "SASL/IAM" } else { "plaintext" };
    let found = found.filter(|text| !text.is_empty());
    let found = found.ok_or_else(|| Error::Plan(format!("the Kafka cluster {cluster} offers no {kind} brokers")))?;
    Ok(keep_or_sort(before, found))
}

/// The brokers sorted; the former value while all that it names are still there, so that MSK's varying order and choice
/// redeploy nothing.
fn keep_or_sort(before: Option<&str>, found: &str) -> String {
    let mut brokers: Vec<&str> = found
        .split(',')
        .map(str::trim)
        .filter(|broker| !broker.is_empty())
        .collect();
    brokers.sort_unstable();
    match before {
        Some(before) if !before.is_empty() && before.split(',').all(|broker| brokers.contains(&broker)) => {
            before.to_owned()
        }
        _ => brokers.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_in_another_order_change_nothing() {
        assert_eq!(keep_or_sort(None, "b:9092,a:9092"), "a:9092,b:9092");
        assert_eq!(
            keep_or_sort(Some("b:9092,a:9092"), "a:9092,c:9092,b:9092"),
            "b:9092,a:9092"
        );
        assert_eq!(keep_or_sort(Some("gone:9092"), "b:9092,a:9092"), "a:9092,b:9092");
    }
}
