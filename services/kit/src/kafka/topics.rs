//! Creation of topics where the platform cannot do it.

use std::time::Duration;

use anyhow::bail;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    types::RDKafkaErrorCode,
};
use tokio::time::{Instant, sleep};

use super::{KafkaArgs, KafkaClientContext, Security};

/// Time limit for a broker to become reachable.
const BROKER_TIMEOUT: Duration = Duration::from_mins(1);

/// A topic to create.
#[derive(Debug, Clone, Copy)]
pub struct TopicSpec<'a> {
    /// The topic's name.
    pub name: &'a str,
    /// The number of partitions; an existing topic keeps its own.
    pub partitions: i32,
}

/// Creates the missing topics if `KAFKA_CREATE_TOPICS` is set; waits up to a minute for a broker.
///
/// Run it in the background: a service starts without Kafka.
///
/// # Errors
/// If a broker rejects a topic, or no broker answers in time.
pub async fn ensure_topics(args: &KafkaArgs, topics: &[TopicSpec<'_>]) -> anyhow::Result<()> {
    if !args.create_topics {
        return Ok(());
    }
    if args.security == Security::MskIam {
        bail!(
            "KAFKA_CREATE_TOPICS is not supported with KAFKA_SECURITY=msk-iam: there, topics are resources of the \
             platform and services are not allowed to create them; unset it"
        );
    }
    let client: AdminClient<KafkaClientContext> = args.config().create_with_context(args.context()?)?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
    let new_topics: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| NewTopic::new(topic.name, topic.partitions, TopicReplication::Fixed(-1)))
        .collect();
    let started = Instant::now();
    loop {
        let failure = match client.create_topics(&new_topics, &options).await {
            Err(error) => error.to_string(),
            Ok(results) => {
                let rejected = results.into_iter().find_map(|result| {
                    result
                        .err()
                        .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists)
                });
                match rejected {
                    None => return Ok(()),
                    Some((topic, code)) => format!("topic {topic}: {code}"),
                }
            }
        };
        if started.elapsed() > BROKER_TIMEOUT {
            bail!("the topics could not be created: {failure}");
        }
        sleep(Duration::from_secs(1)).await;
    }
}
