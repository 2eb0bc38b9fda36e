//! The settings of the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use kit::ServeArgs;
use kit::token::TokenArgs;

use crate::cors::Origins;
use crate::peer::Peers;
use crate::places::Most;
use crate::rate::Rate;

/// Everything that the environment or the command line tells.
#[derive(Debug, Args)]
pub struct Config {
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(flatten)]
    pub token: TokenArgs,
    /// Port of /metrics and /health/ready, which are not public
    #[arg(long, env = "MANAGEMENT_PORT", default_value_t = 9004)]
    pub management_port: u16,
    /// Base URL of patient-service
    #[arg(long, env = "PATIENT_SERVICE_URL", default_value = "http://127.0.0.1:4000")]
    pub patient_service_url: String,
    /// Base URL of billing-service
    #[arg(long, env = "BILLING_SERVICE_URL", default_value = "http://127.0.0.1:4001")]
    pub billing_service_url: String,
    /// Base URL of analytics-service
    #[arg(long, env = "ANALYTICS_SERVICE_URL", default_value = "http://127.0.0.1:4002")]
    pub analytics_service_url: String,
    /// Base URL of notification-service
    #[arg(long, env = "NOTIFICATION_SERVICE_URL", default_value = "http://127.0.0.1:4003")]
    pub notification_service_url: String,
    /// Seconds that a service may take to answer before the client gets 504
    #[arg(long, env = "UPSTREAM_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub upstream_timeout: u64,
    /// Requests a second that one user or address may make for long
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_per_second: u32,
    /// Requests that one user or address may make at once
    #[arg(long, env = "RATE_LIMIT_BURST", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_burst: u32,
    /// Requests that are sent on at the same time; more get 503
    #[arg(long, env = "MAX_CONCURRENT_REQUESTS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests: u32,
    /// Of these, requests of one user or address; more get 429
    #[arg(long, env = "MAX_CONCURRENT_REQUESTS_PER_CALLER", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests_per_caller: u32,
    /// Memory for the bodies of these requests, in MiB; a body that finds no room gets 503
    #[arg(long, env = "MAX_BODY_MEMORY_MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_body_memory_mib: u32,
    /// Proxies in front that append to X-Forwarded-For; the client's address is counted from the right, 0 ignores it
    #[arg(long, env = "TRUSTED_PROXIES", default_value_t = 1)]
    pub trusted_proxies: usize,
    /// Origins whose pages may call the API from a browser, such as https://clinic.example, separated by commas; none else may
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", default_value = "")]
    pub cors_allowed_origins: Origins,
}

impl Config {
    /// Where `/metrics` and `/health/ready` are.
    pub fn management(&self) -> SocketAddr {
        SocketAddr::new(self.serve.host, self.management_port)
    }

    /// Where the services are.
    ///
    /// # Errors
    /// When an address is not `http://host:port`.
    pub fn peers(&self) -> anyhow::Result<Peers> {
        Peers::new([
            ("AUTH_SERVICE_URL", &self.token.auth_service_url),
            ("PATIENT_SERVICE_URL", &self.patient_service_url),
            ("BILLING_SERVICE_URL", &self.billing_service_url),
            ("ANALYTICS_SERVICE_URL", &self.analytics_service_url),
            ("NOTIFICATION_SERVICE_URL", &self.notification_service_url),
        ])
    }

    /// How long a service may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.upstream_timeout)
    }

    /// How many requests may be under way.
    pub fn places(&self) -> Most {
        Most {
            all: self.max_concurrent_requests,
            each: self.max_concurrent_requests_per_caller,
        }
    }

    /// What one caller may do.
    pub fn rate(&self) -> Rate {
        Rate {
            per_second: f64::from(self.rate_limit_per_second),
            burst: f64::from(self.rate_limit_burst),
        }
    }
}
