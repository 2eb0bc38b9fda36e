//! The check of the availability zones of a new network.

use aws::{Result, Session, zones};
use platform::stacks::{Source, Stack, ZoneNeeds};

use super::{PreflightFinding, Problem, fatal};

/// The region in which an MSK cluster takes exactly two subnets (Amazon MSK API Reference, `BrokerNodeGroupInfo`).
const TWO_KAFKA_ZONES: &str = "us-west-1";

/// Checks that the region has enough zones that offer everything.
///
/// # Errors
/// The zones cannot be listed.
pub async fn check(aws: &Session, new: &[&Stack]) -> Result<Vec<PreflightFinding>> {
    let mut findings = Vec::new();
    for stack in new {
        let needs: Vec<&ZoneNeeds> = stack
            .parameters
            .iter()
            .filter_map(|parameter| match &parameter.source {
                Source::AvailabilityZone { needs, .. } => Some(needs),
                _ => None,
            })
            .collect();
        let (Some(first), needed) = (needs.first(), needs.len()) else {
            continue;
        };
        if first.kafka && aws.region() == TWO_KAFKA_ZONES && needed != 2 {
            findings.push(fatal(Problem::KafkaZones {
                region: aws.region().to_owned(),
                needed,
            }));
        }
        let zones = zones::survey(aws, first).await?;
        let found = zones.iter().filter(|zone| zone.lacks.is_empty()).count();
        if found < needed {
            let excluded = zones.into_iter().filter(|zone| !zone.lacks.is_empty());
            let excluded = excluded.map(|zone| (zone.name, zone.lacks)).collect();
            findings.push(fatal(Problem::AvailabilityZones {
                found,
                needed,
                excluded,
            }));
        }
    }
    Ok(findings)
}
