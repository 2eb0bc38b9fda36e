//! JSON logs, Prometheus metrics, and traces for an OpenTelemetry collector.

mod log;
mod log_throttle;
mod process;
pub(crate) mod recorder;

use std::sync::OnceLock;

pub(crate) use log_throttle::LogThrottle;
pub use recorder::on_scrape;

use crate::trace::{self, Sampler};

/// Log filter and trace export, the same for every service.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "telemetry")]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Log filter: a level, or target=level,target=level
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub rust_log: String,
    /// OpenTelemetry collector for traces over OTLP/gRPC, as http://host:port; nothing is exported without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = endpoint)]
    pub otel_exporter_otlp_endpoint: Option<Endpoint>,
    /// Sampler of traces that start here; the decision of a caller takes precedence
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_enum, ignore_case = true, default_value_t)]
    pub otel_traces_sampler: Sampler,
    /// Fraction for `parentbased_traceidratio`, from 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0)]
    pub otel_traces_sampler_arg: f64,
}

/// Address of the collector; an empty setting means none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Option<String>);

/// Reason for rejecting an address; it never quotes the address, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum EndpointError {
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    #[error("TLS is not supported; use a collector in the private network, as http://host:4317")]
    Tls,
    #[error("must be http://host:port, such as http://127.0.0.1:4317")]
    Form,
}

static ARGS: OnceLock<TelemetryArgs> = OnceLock::new();

/// Stores the settings of the command line for [`init`].
pub(crate) fn configure(args: TelemetryArgs) {
    let _ = ARGS.set(args);
}

/// Starts logs, metrics and traces for the service `name`; call it inside the runtime, once the settings are parsed.
pub fn init(name: &'static str) {
    let args = ARGS.get();
    let fallback = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into());
    log::init(name, args.map_or(&fallback, |args| &args.rust_log));
    recorder::install();
    let Some(args) = args else { return };
    let endpoint = args.otel_exporter_otlp_endpoint.as_ref();
    let endpoint = endpoint.and_then(|endpoint| endpoint.0.as_deref());
    let sampler = args.otel_traces_sampler.build(args.otel_traces_sampler_arg);
    match trace::init(name, endpoint, sampler) {
        Ok(()) => tracing::info!(endpoint, "traces are on"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "traces are not exported"),
    }
}

/// Exports the last spans, for 1 s at most; the last step of a service.
pub async fn shutdown() {
    trace::shutdown().await;
}

/// Starts the export of traces without a command line; for tests, inside their runtime.
///
/// # Errors
/// If the endpoint is malformed.
pub fn start_trace_export(name: &'static str, endpoint: &str) -> anyhow::Result<()> {
    trace::init(name, Some(endpoint), Sampler::default().build(1.0))
}

fn endpoint(text: &str) -> Result<Endpoint, EndpointError> {
    if text.is_empty() {
        return Ok(Endpoint(None));
    }
    let url = url::Url::parse(text)?;
    match url.scheme() {
        "http" if url.host().is_some() && url.username().is_empty() && url.password().is_none() => {
            Ok(Endpoint(Some(text.into())))
        }
        "https" => Err(EndpointError::Tls),
        _ => Err(EndpointError::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_a_plain_http_address() {
        assert_eq!(endpoint(""), Ok(Endpoint(None)));
        let good = "http://127.0.0.1:4317";
        assert_eq!(endpoint(good), Ok(Endpoint(Some(good.into()))));
        assert_eq!(endpoint("https://collector:4317"), Err(EndpointError::Tls));
        assert!(matches!(endpoint("127.0.0.1"), Err(EndpointError::Url(_))));
        for bad in ["collector:4317", "http://user:secret@collector:4317"] {
            assert_eq!(endpoint(bad), Err(EndpointError::Form), "{bad}");
        }
    }
}
