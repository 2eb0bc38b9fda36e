//! The values of a stack's parameters: outputs of other stacks, brokers, images.

use std::collections::BTreeMap;

use super::image_pipeline::ImagePipeline;
use super::zones;
use crate::error::{ParameterError, Result};
use aws::{cloudformation, kafka, subnets};
use platform::stacks::{Source, Stack};

/// The origin of image references.
#[derive(Clone, Copy)]
pub enum ImageSource<'a> {
    /// Images that are built, and pushed to repositories that lack them.
    Built(&'a ImagePipeline),
    /// The deployed images, for commands that change nothing.
    Deployed,
}

/// Returns the value of every parameter of a stack.
///
/// # Errors
/// A value does not exist, or an image cannot be built or pushed.
pub async fn resolve_parameters(
    aws: &aws::Session,
    stack: &Stack,
    former: Option<&cloudformation::Stack>,
    existing: impl Fn(&str) -> Option<cloudformation::Stack>,
    images: ImageSource<'_>,
) -> Result<BTreeMap<String, String>> {
    let output_of = |from: &str, output: &str| {
        let found = existing(from).and_then(|stack| stack.outputs.get(output).cloned());
        found.ok_or_else(|| ParameterError::Output {
            stack: stack.name.clone(),
            output: output.to_owned(),
            from: from.to_owned(),
        })
    };
    let zones = zones::resolve(aws, stack, former).await?;
    let subnets = subnets::resolve(aws, stack, former.map(|former| &former.parameters)).await?;
    let mut values = BTreeMap::new();
    for parameter in &stack.parameters {
        let before = former.and_then(|former| former.parameters.get(&parameter.name));
        let value = match &parameter.source {
            Source::Literal(value) => value.clone(),
            Source::AvailabilityZone { index, .. } => zones.get(*index).cloned().unwrap_or_default(),
            Source::Subnets { tier, .. } => subnets.get(tier).map(|ids| ids.join(",")).unwrap_or_default(),
            Source::Output { stack, output } => output_of(stack, output)?,
            Source::BootstrapBrokers { stack, output, iam } => {
                brokers(aws, &output_of(stack, output)?, *iam, before.map(String::as_str)).await?
            }
            Source::Image {
                service,
                stack: repository,
                output,
            } => match images {
                ImageSource::Built(pipeline) => pipeline.reference(service, &output_of(repository, output)?).await?,
                ImageSource::Deployed => before.cloned().ok_or_else(|| ParameterError::Image {
                    service: service.clone(),
                })?,
            },
        };
        values.insert(parameter.name.clone(), value);
    }
    Ok(values)
}

async fn brokers(aws: &aws::Session, cluster: &str, iam: bool, before: Option<&str>) -> Result<String> {
    let found = kafka::bootstrap_brokers(aws, cluster, iam).await?;
    let found = found.ok_or_else(|| ParameterError::Brokers {
        cluster: cluster.to_owned(),
        listener: if iam { "SASL/IAM" } else { "plaintext" },
    })?;
    Ok(keep_or_sort(before, &found))
}

/// Returns the sorted brokers, or the former value while all its brokers exist: MSK varies their order and choice, and that must
/// not redeploy a service.
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
        assert_eq!(keep_or_sort(Some("former:9092"), "b:9092,a:9092"), "a:9092,b:9092");
    }
}
