//! IAM instead of a password: the token that librdkafka shows to MSK under SASL/OAUTHBEARER.
//!
//! A token is a request to Connect that is signed and never sent (Amazon MSK Developer Guide, "IAM access control").
//! It is made here and not by `aws-msk-iam-sasl-signer`, which stands on `aws-config`, the SDK of STS and an HTTP
//! stack of their own: for one HMAC and one small document they would double the size of every service.

mod args;
mod credentials;
mod sign;

use std::{error::Error, sync::Mutex, thread, time::Duration};

use anyhow::{Context, anyhow};
use rdkafka::client::OAuthToken;
use time::OffsetDateTime;

pub use args::IamArgs;
use credentials::{Credentials, Source};

/// Credentials that end sooner than this are fetched anew; ECS renews its own well before.
const LEFT_AT_LEAST: time::Duration = time::Duration::minutes(5);
/// How long the provider of the credentials may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who this process is to IAM, and where its brokers are.
pub(super) struct Iam {
    region: String,
    source: Source,
    kept: Mutex<Option<Credentials>>,
}

impl Iam {
    /// The task's role, or whoever the settings name.
    ///
    /// # Errors
    /// When neither the region nor any credentials are told.
    pub(super) fn new(args: &IamArgs, servers: &str) -> anyhow::Result<Self> {
        let region = args.region.clone().or_else(|| region_of(servers));
        Ok(Self {
            region: region.context("KAFKA_SECURITY=msk-iam signs for a region, and none is told: set AWS_REGION")?,
            source: Source::choose(args)?,
            kept: Mutex::default(),
        })
    }

    /// A token that holds for 15 minutes at most. It is asked for on a thread of librdkafka's client, a few times an
    /// hour, and blocks it for as long as the credentials take: milliseconds, `PATIENCE` at most.
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let made = self.credentials().map(|credentials| {
            let token = sign::token(&credentials, &self.region, OffsetDateTime::now_utc());
            OAuthToken {
                token: token.text,
                principal_name: credentials.key_id,
                lifetime_ms: token.expires.unix_timestamp() * 1000,
            }
        });
        made.map_err(|error| format!("{error:#}").into())
    }

    fn credentials(&self) -> anyhow::Result<Credentials> {
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let now = OffsetDateTime::now_utc();
        if let Some(known) = kept.as_ref().filter(|known| known.outlast(now + LEFT_AT_LEAST)) {
            return Ok(known.clone());
        }
        let fetched = match &self.source {
            Source::Fixed(credentials) => Ok(credentials.clone()),
            Source::Container(container) => blocking(container.fetch()),
        };
        match (fetched, kept.as_ref()) {
            (Ok(fresh), _) => Ok(kept.insert(fresh).clone()),
            // The provider is away for a moment: what is known still holds.
            (Err(_), Some(known)) if known.outlast(now) => Ok(known.clone()),
            (Err(error), _) => Err(error),
        }
    }
}

/// Waits for a future from a thread that may belong to a runtime already.
fn blocking<T: Send>(work: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let done = tokio::time::timeout(PATIENCE, work).await;
            done.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))?
        })
    };
    let joined = thread::scope(|scope| scope.spawn(run).join());
    joined
        .unwrap_or_else(|_| Err(anyhow!("the request for credentials broke off")))
        .context("the credentials of this task's role cannot be had")
}

/// The region in the name of a broker: `b-1.….kafka.REGION.amazonaws.com:9098`.
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
    fn a_brokers_name_tells_its_region() {
        let told = |servers| region_of(servers);
        let servers = "b-1.demo.a1b2c3.c2.kafka.eu-central-1.amazonaws.com:9098,b-2.demo:9098";
        assert_eq!(told(servers).as_deref(), Some("eu-central-1"));
        assert_eq!(told("127.0.0.1:9092"), None);
        assert_eq!(told("my.kafka.example.org:9092"), None);
    }
}
