//! Topics that a service may have to create itself.

use std::time::Duration;

use anyhow::bail;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    types::RDKafkaErrorCode,
};
use tokio::time::{Instant, sleep};

use super::{KafkaArgs, Security, Shared};

/// A topic as it should be.
#[derive(Debug, Clone, Copy)]
pub struct TopicSpec {
    /// Its name.
    pub name: &'static str,
    /// How many partitions it has; only ever set when it is created.
    pub partitions: i32,
}

/// Creates the topics that are missing, if `KAFKA_CREATE_TOPICS` asks for it; waits up to a minute for a broker.
///
/// # Errors
/// When a broker refuses, or none answers in time. Run it in the background: a service starts without Kafka.
pub async fn ensure_topics(args: &KafkaArgs, topics: &[TopicSpec]) -> anyhow::Result<()> {
    if !args.create_topics {
        return Ok(());
    }
    if args.security == Security::MskIam {
        bail!(
            "KAFKA_CREATE_TOPICS is for brokers that take anybody: with KAFKA_SECURITY=msk-iam topics are resources of \
             the platform, and no service may make one; unset it"
        );
    }
    let client: AdminClient<Shared> = args.config().create_with_context(args.context()?)?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| NewTopic::new(topic.name, topic.partitions, TopicReplication::Fixed(-1)))
        .collect();
    let started = Instant::now();
    loop {
        let failure = match client.create_topics(&wanted, &options).await {
            Err(error) => error.to_string(),
            Ok(results) => {
                let refused = results.into_iter().find_map(|result| {
                    result
                        .err()
                        .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists)
                });
                match refused {
                    None => return Ok(()),
                    Some((topic, code)) => format!("topic {topic}: {code}"),
                }
            }
        };
        if started.elapsed() > Duration::from_secs(60) {
            bail!("the topics could not be created: {failure}");
        }
        sleep(Duration::from_secs(1)).await;
    }
}
