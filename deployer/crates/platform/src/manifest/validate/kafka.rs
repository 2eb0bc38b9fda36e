//! Validation of the brokers and topics.

use super::super::file::{self, KafkaSecurity, Settings};
use super::super::problem::Problem;
use super::super::{Bootstrap, Kafka, Network, SubnetTier, Topic};
use super::{ErrorContext, Validated, is_machine_size};

/// Returns the brokers; `None` without topics.
pub fn kafka(context: &ErrorContext, settings: &Settings, network: &Network) -> Validated<Option<Kafka>> {
    if settings.topics.is_empty() {
        return Ok(None);
    }
    let written = &settings.kafka;
    let per_zone = written.brokers_per_zone.unwrap_or(1);
    context.in_range(&["kafka", "brokers_per_zone"], per_zone.into(), 1, 10, "")?;
    let storage_gib = written.storage_gib.unwrap_or(10);
    let volumes = ", the sizes of a broker's volume in GiB";
    context.in_range(&["kafka", "storage_gib"], storage_gib, 1, 16_384, volumes)?;
    let retention_hours = written.retention_hours.unwrap_or(168);
    context.in_range(&["kafka", "retention_hours"], retention_hours, 2, 87_600, " hours")?;
    let instance_type = written.instance_type.clone().unwrap_or_else(|| "kafka.t3.small".into());
    if !is_machine_size(&instance_type, "kafka.") && !is_machine_size(&instance_type, "express.") {
        return context.reject(&["kafka", "instance_type"], Problem::BrokerType(instance_type));
    }
    let security = written.security.unwrap_or(KafkaSecurity::Plaintext);
    if security == KafkaSecurity::MskIam && written.bootstrap.is_some() {
        return context.reject(&["kafka", "security"], Problem::IamOutside);
    }
    let subnets = network.isolated_subnets();
    if !(2..=3).contains(&subnets) && written.bootstrap.is_none() {
        return context.reject(
            &["network", SubnetTier::Isolated.key()],
            Problem::BrokerSubnets(subnets),
        );
    }
    Ok(Some(Kafka {
        version: written.version.clone().unwrap_or_else(|| "4.0.x.kraft".into()),
        instance_type,
        brokers: u16::from(per_zone) * u16::try_from(subnets).unwrap_or(u16::MAX),
        storage_gib,
        retention_hours,
        security,
        bootstrap: bootstrap(context, written)?,
    }))
}

fn bootstrap(context: &ErrorContext, written: &file::Kafka) -> Validated<Option<Bootstrap>> {
    let cidr = written.bootstrap_cidr.as_deref();
    let Some(text) = &written.bootstrap else {
        return match cidr {
            Some(_) => context.reject(&["kafka", "bootstrap_cidr"], Problem::NetworkWithoutBrokers),
            None => Ok(None),
        };
    };
    Bootstrap::parse(text, cidr)
        .map(Some)
        .or_else(|problem| context.reject(&["kafka", "bootstrap"], problem))
}

/// Returns a topic.
pub fn topic(context: &ErrorContext, name: &str, written: &file::Topic, kafka: Option<&Kafka>) -> Validated<Topic> {
    if name.is_empty() || name.len() > 249 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return context.reject(&["topics", name], Problem::TopicName(name.to_owned()));
    }
    let partitions = written.partitions.unwrap_or(1);
    context.in_range(&["topics", name, "partitions"], partitions, 1, 1000, "")?;
    let brokers = kafka.map_or(1, |kafka| kafka.brokers);
    let replication_factor = written.replication_factor.unwrap_or(brokers.min(3));
    context.in_range(
        &["topics", name, "replication_factor"],
        replication_factor.into(),
        1,
        brokers.into(),
        ", the number of brokers",
    )?;
    Ok(Topic {
        name: name.to_owned(),
        partitions,
        replication_factor,
    })
}
