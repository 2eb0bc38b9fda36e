//! What every client of librdkafka shares: who it is to the brokers, and how it tells of its troubles.

use std::{error::Error, sync::Arc};

use rdkafka::{
    ClientContext, Statistics, client::OAuthToken, config::RDKafkaLogLevel, error::KafkaError, producer::FutureProducer,
};

use super::{iam::Iam, quiet};

/// The context of producers; that of consumers has it inside.
#[derive(Clone, Default)]
pub struct Shared {
    iam: Option<Arc<Iam>>,
}

/// A producer of this service.
pub type Producer = FutureProducer<Shared>;

impl Shared {
    pub(super) fn new(iam: Option<Iam>) -> Self {
        Self { iam: iam.map(Arc::new) }
    }
}

impl ClientContext for Shared {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        match level {
            Emerg | Alert | Critical | Error | Warning => quiet::warn(facility, message),
            Notice | Info => tracing::info!(kafka.facility = facility, "librdkafka: {message}"),
            Debug => tracing::debug!(kafka.facility = facility, "librdkafka: {message}"),
        }
    }

    fn stats(&self, _: Statistics) {}

    /// A broker that is away is said by each of its connections, many times a minute.
    fn error(&self, error: KafkaError, reason: &str) {
        let kind = error
            .rdkafka_error_code()
            .map_or_else(|| "client".into(), |code| format!("{code:?}"));
        quiet::warn(&kind, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match &self.iam {
            Some(iam) => iam.token().inspect_err(|error| quiet::warn("IAM", &error.to_string())),
            None => Err("KAFKA_SECURITY is not msk-iam: there are no tokens".into()),
        }
    }
}
