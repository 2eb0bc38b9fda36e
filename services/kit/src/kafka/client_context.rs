//! Context of every librdkafka client: IAM tokens, logs and errors.

use std::{error::Error, sync::Arc};

use rdkafka::{
    ClientContext, Statistics, client::OAuthToken, config::RDKafkaLogLevel, error::KafkaError, producer::FutureProducer,
};

use super::{client_errors, iam::Iam};

/// Context of producers and admin clients; the context of a consumer contains it.
#[derive(Clone, Default)]
pub struct KafkaClientContext {
    iam: Option<Arc<Iam>>,
}

/// A producer of this service.
pub type Producer = FutureProducer<KafkaClientContext>;

impl KafkaClientContext {
    pub(super) fn new(iam: Option<Iam>) -> Self {
        Self { iam: iam.map(Arc::new) }
    }
}

impl ClientContext for KafkaClientContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        match level {
            Emerg | Alert | Critical | Error | Warning => client_errors::warn(facility, message),
            Notice | Info => tracing::info!(kafka.facility = facility, "librdkafka: {message}"),
            Debug => tracing::debug!(kafka.facility = facility, "librdkafka: {message}"),
        }
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let kind = error
            .rdkafka_error_code()
            .map_or_else(|| "client".into(), |code| format!("{code:?}"));
        client_errors::warn(&kind, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match &self.iam {
            Some(iam) => Ok(iam
                .token()
                .inspect_err(|error| client_errors::warn("IAM", &format!("{error:#}")))?),
            None => Err("KAFKA_SECURITY is not msk-iam: there are no tokens".into()),
        }
    }
}
