//! The usual dependencies of a service, as health checks and background tasks of its server.

use super::Server;
use crate::{
    database::{self, Pool},
    kafka::{self, EventHandler, KafkaArgs, Subscription},
    token::Verifier,
};

impl Server {
    /// Adds a readiness check of the service's own database.
    pub fn database(self, pool: &Pool) -> Self {
        let pool = pool.clone();
        self.readiness_check("database", move || {
            let pool = pool.clone();
            async move { Ok(database::ping(&pool).await?) }
        })
    }

    /// Follows the signing keys and the ended sessions of auth-service in the background, and reports whether any keys are
    /// loaded.
    pub fn tokens(self, verifier: &Verifier) -> Self {
        let (checked, refreshed, following) = (verifier.clone(), verifier.clone(), verifier.clone());
        self.informational_check("auth-service", move || {
            std::future::ready(checked.check().map_err(Into::into))
        })
        .background_task("signing keys", |shutdown| refreshed.refresh_keys(shutdown))
        .background_task("ended sessions", |shutdown| following.follow_revocations(shutdown))
    }

    /// Reports whether a Kafka broker is reachable.
    pub fn kafka(self, producer: &kafka::Producer) -> Self {
        let producer = producer.clone();
        self.informational_check("kafka", move || {
            let producer = producer.clone();
            async move { kafka::ping(&producer).await }
        })
    }

    /// Consumes a topic in the background, and reports whether a Kafka broker is reachable.
    ///
    /// # Errors
    /// If the settings are invalid. An unreachable broker is not an error.
    pub fn consumer(
        self,
        args: KafkaArgs,
        subscription: Subscription,
        handler: impl EventHandler,
    ) -> anyhow::Result<Self> {
        let producer = kafka::producer(&args)?;
        Ok(self.kafka(&producer).background_task("consumer", move |shutdown| {
            kafka::consume_events(args, subscription, handler, shutdown)
        }))
    }
}
