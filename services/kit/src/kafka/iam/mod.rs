//! IAM authentication: the token that librdkafka sends to MSK with SASL/OAUTHBEARER.
//!
//! A token is a presigned request to Connect that is never sent (Amazon MSK Developer Guide, "IAM access control").
//! The crate `aws-msk-iam-sasl-signer` is not used: it depends on `aws-config`, the SDK of STS and a second HTTP stack,
//! which would double the size of every service for one HMAC and one small document.

mod sign;

use std::{thread, time::Duration};

use anyhow::{Context, anyhow};
use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use time::OffsetDateTime;

use crate::aws::{Credentials, IamArgs, Source};

/// Credentials that expire sooner than this are fetched again; ECS renews them well before.
const MIN_VALIDITY: time::Duration = time::Duration::minutes(5);
/// Timeout of the credential provider.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The identity of this process for IAM, and the region of its brokers.
pub(super) struct Iam {
    region: String,
    source: Source,
    cached: Mutex<Option<Credentials>>,
}

impl Iam {
    /// Reads the region and the source of credentials from the settings.
    ///
    /// # Errors
    /// If the region or the credentials are missing.
    pub(super) fn new(args: &IamArgs, servers: &str) -> anyhow::Result<Self> {
        let region = args.region.clone().or_else(|| region_of(servers));
        Ok(Self {
            region: region.context("KAFKA_SECURITY=msk-iam requires a region: set AWS_REGION")?,
            source: Source::from_args(args).context("KAFKA_SECURITY=msk-iam requires credentials")?,
            cached: Mutex::default(),
        })
    }

    /// Returns a token that is valid for 15 minutes at most. librdkafka requests one a few times an hour, on a thread of the
    /// client, which blocks until the credentials are fetched: milliseconds, [`TIMEOUT`] at most.
    ///
    /// # Errors
    /// If the credentials cannot be fetched and the cached ones have expired.
    pub(super) fn token(&self) -> anyhow::Result<OAuthToken> {
        let credentials = self.credentials()?;
        let token = sign::token(&credentials, &self.region, OffsetDateTime::now_utc());
        Ok(OAuthToken {
            token: token.text,
            principal_name: credentials.key_id,
            lifetime_ms: token.expires.unix_timestamp() * 1000,
        })
    }

    fn credentials(&self) -> anyhow::Result<Credentials> {
        let mut cached = self.cached.lock();
        let now = OffsetDateTime::now_utc();
        let valid_until = now + MIN_VALIDITY;
        if let Some(credentials) = cached.as_ref().filter(|cached| cached.valid_at(valid_until)) {
            return Ok(credentials.clone());
        }
        match (blocking(self.source.fetch()), cached.as_ref()) {
            (Ok(fresh), _) => Ok(cached.insert(fresh).clone()),
            // The provider is unreachable for a moment, and the cached credentials are still valid.
            (Err(_), Some(credentials)) if credentials.valid_at(now) => Ok(credentials.clone()),
            (Err(error), _) => Err(error),
        }
    }
}

/// Blocks on a future, on a thread that may already belong to a runtime.
fn blocking<T: Send>(work: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let done = tokio::time::timeout(TIMEOUT, work).await;
            done.map_err(|_| anyhow!("no response within {} s", TIMEOUT.as_secs()))?
        })
    };
    let joined = thread::scope(|scope| scope.spawn(run).join());
    joined
        .unwrap_or_else(|_| Err(anyhow!("the request for credentials panicked")))
        .context("cannot fetch the credentials of the task role")
}

/// Returns the region in the name of a broker: `b-1.….kafka.REGION.amazonaws.com:9098`.
fn region_of(servers: &str) -> Option<String> {
    let host = servers.split(',').next()?.split(':').next()?;
    let (_, rest) = host.split_once(".kafka.")?;
    let (region, suffix) = rest.split_once('.')?;
    suffix.starts_with("amazonaws.com").then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_the_name_of_a_broker() {
        let servers = "b-1.demo.a1b2c3.c2.kafka.eu-central-1.amazonaws.com:9098,b-2.demo:9098";
        assert_eq!(region_of(servers).as_deref(), Some("eu-central-1"));
        assert_eq!(region_of("127.0.0.1:9092"), None);
        assert_eq!(region_of("my.kafka.example.org:9092"), None);
    }
}
