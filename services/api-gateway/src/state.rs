//! State shared by the handlers.

use std::sync::Arc;

use kit::Verifier;

use crate::body::BodyMemoryBudget;
use crate::concurrency_limit::ConcurrencyLimiter;
use crate::config::Config;
use crate::cors::AllowedOrigins;
use crate::rate_limit::RateLimiter;
use crate::upstream::Upstream;

/// State shared by the handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Sends requests to the services.
    pub upstream: Upstream,
    /// Verifies access tokens.
    pub verifier: Verifier,
    /// Limits the request rate of each caller.
    pub rate_limiter: Arc<RateLimiter>,
    /// Limits the requests in flight.
    pub concurrency: ConcurrencyLimiter,
    /// Limits the memory of the request bodies in flight.
    pub body_memory: BodyMemoryBudget,
    /// Number of proxies in front that append to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// Origins whose web pages may read the responses.
    pub allowed_origins: AllowedOrigins,
}

impl AppState {
    /// Builds the state from the configuration.
    ///
    /// # Errors
    /// Fails if the URL of a service is not `http://host:port`.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            upstream: Upstream::new(config.backends()?, config.upstream_timeout()),
            verifier: config.token.verifier()?,
            rate_limiter: Arc::new(RateLimiter::new(config.rate())),
            concurrency: ConcurrencyLimiter::new(config.concurrency_limits()),
            body_memory: BodyMemoryBudget::new(config.max_body_memory_mib as usize * 1024),
            trusted_proxies: config.trusted_proxies,
            allowed_origins: config.cors_allowed_origins.clone(),
        })
    }
}
