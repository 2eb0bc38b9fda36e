//! The configuration, read from the command line and the environment.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use kit::ServeArgs;
use kit::cli::Cli;
use kit::token::TokenArgs;

use crate::backend::Backends;
use crate::concurrency_limit::ConcurrencyLimits;
use crate::cors::AllowedOrigins;
use crate::rate_limit::Rate;

/// Name, description and default ports of the binary.
pub const CLI: Cli =
    Cli::new("api-gateway", "The only public entry point of the services.", 4004).health_on("MANAGEMENT_PORT", 9004);

/// Time for a client to send its request, in addition to the time for a service to respond.
const TIME_TO_SEND: Duration = Duration::from_secs(15);

/// Settings of the gateway; each is an option and an environment variable.
#[derive(Debug, Args)]
pub struct Config {
    /// Address, limits and shutdown.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Verification of access tokens.
    #[command(flatten)]
    pub token: TokenArgs,
    /// Port of /metrics and /health/ready; a separate port, because they are not public
    #[arg(long, env, default_value_t = 9004)]
    pub management_port: u16,
    /// Base URL of patient-service
    #[arg(long, env, default_value = "http://127.0.0.1:4000")]
    pub patient_service_url: String,
    /// Base URL of billing-service
    #[arg(long, env, default_value = "http://127.0.0.1:4001")]
    pub billing_service_url: String,
    /// Base URL of analytics-service
    #[arg(long, env, default_value = "http://127.0.0.1:4002")]
    pub analytics_service_url: String,
    /// Base URL of notification-service
    #[arg(long, env, default_value = "http://127.0.0.1:4003")]
    pub notification_service_url: String,
    /// Base URL of audit-service
    #[arg(long, env, default_value = "http://127.0.0.1:4006")]
    pub audit_service_url: String,
    /// Seconds until a service must respond, with all retries; after that the client gets 503 or 504
    #[arg(long, env, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub upstream_timeout: u64,
    /// Requests per second that one user or address may make in the long run
    #[arg(long, env, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_per_second: u32,
    /// Requests that one user or address may make in one burst
    #[arg(long, env, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_burst: u32,
    /// Maximum number of requests in flight; further ones get 503
    #[arg(long, env, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests: u32,
    /// Maximum number of requests in flight of one user or address, so that one slow client cannot exhaust the limit; further ones get 429
    #[arg(long, env, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests_per_caller: u32,
    /// Memory for the bodies of the requests in flight, in MiB; a body that does not fit gets 503
    #[arg(long, env, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_body_memory_mib: u32,
    /// Number of proxies in front that append to X-Forwarded-For; the client's address is counted from the right, 0 ignores the header
    #[arg(long, env, default_value_t = 1)]
    pub trusted_proxies: usize,
    /// Origins whose web pages may call the API from a browser, such as `https://clinic.example`, separated by commas; by default no origin
    #[arg(long, env, default_value = "")]
    pub cors_allowed_origins: AllowedOrigins,
}

impl Config {
    /// Returns the address of `/metrics` and `/health/ready`.
    pub fn management_address(&self) -> SocketAddr {
        SocketAddr::new(self.serve.host, self.management_port)
    }

    /// Returns the addresses of the services.
    ///
    /// # Errors
    /// Fails if a URL is not `http://host:port`.
    pub fn backends(&self) -> anyhow::Result<Backends> {
        Backends::new([
            ("AUTH_SERVICE_URL", &self.token.auth_service_url),
            ("PATIENT_SERVICE_URL", &self.patient_service_url),
            ("BILLING_SERVICE_URL", &self.billing_service_url),
            ("ANALYTICS_SERVICE_URL", &self.analytics_service_url),
            ("NOTIFICATION_SERVICE_URL", &self.notification_service_url),
            ("AUDIT_SERVICE_URL", &self.audit_service_url),
        ])
    }

    /// Returns the timeout of one request to a service.
    pub fn upstream_timeout(&self) -> Duration {
        Duration::from_secs(self.upstream_timeout)
    }

    /// Returns the timeout of one request from a client: its time to send, and the service's time to respond.
    pub fn request_timeout(&self) -> Duration {
        TIME_TO_SEND + self.upstream_timeout()
    }

    /// Returns the limits of requests in flight.
    pub fn concurrency_limits(&self) -> ConcurrencyLimits {
        ConcurrencyLimits {
            total: self.max_concurrent_requests,
            per_caller: self.max_concurrent_requests_per_caller,
        }
    }

    /// Returns the rate limit of one caller.
    pub fn rate(&self) -> Rate {
        Rate {
            per_second: f64::from(self.rate_limit_per_second),
            burst: f64::from(self.rate_limit_burst),
        }
    }
}
