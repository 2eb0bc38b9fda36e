//! The metrics recorder of the process, and the gauges that are set at each scrape.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use super::process;

/// Upper bounds of every histogram, in seconds.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

type Callback = Box<dyn Fn() + Send>;

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
static CALLBACKS: Mutex<Vec<Callback>> = Mutex::new(Vec::new());

/// Installs the recorder; metrics that are recorded before are lost.
pub(crate) fn install() {
    let _ = handle();
}

/// Runs `callback` at each scrape, to set gauges that nothing else sets. It must not block.
pub fn on_scrape(callback: impl Fn() + Send + 'static) {
    CALLBACKS.lock().push(Box::new(callback));
}

/// Returns all metrics in the text format of Prometheus; `None` if another recorder was installed before.
pub(crate) fn scrape() -> Option<String> {
    let handle = handle()?;
    process::update();
    CALLBACKS.lock().iter().for_each(|callback| callback());
    handle.run_upkeep();
    Some(handle.render())
}

fn handle() -> Option<&'static PrometheusHandle> {
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?.build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            describe();
            process::started();
            Some(handle)
        })
        .as_ref()
}

/// Describes the metrics of this crate; a service describes its own at start.
#[expect(clippy::too_many_lines, reason = "a list, one entry for each metric")]
fn describe() {
    use metrics::{Unit, describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};

    counter!(
        "http_requests_total",
        "HTTP requests, by method, route pattern and status; 499: the client closed the connection"
    );
    histogram!(
        "http_request_duration_seconds",
        Unit::Seconds,
        "Duration of HTTP requests"
    );
    gauge!("http_requests_in_flight", "HTTP requests in flight");
    counter!("grpc_server_started_total", "gRPC calls received");
    counter!(
        "grpc_server_handled_total",
        "gRPC calls completed by the server, by status code"
    );
    histogram!(
        "grpc_server_handling_seconds",
        Unit::Seconds,
        "Duration of gRPC calls at the server"
    );
    counter!("grpc_client_started_total", "gRPC calls started by the client");
    counter!(
        "grpc_client_handled_total",
        "gRPC calls completed at the client, by status code"
    );
    histogram!(
        "grpc_client_handling_seconds",
        Unit::Seconds,
        "Duration of gRPC calls at the client"
    );
    gauge!(
        "database_pool_connections",
        "Connections of the database pool, by state: idle or used"
    );
    gauge!(
        "database_pool_max_connections",
        "Maximum number of connections of the database pool"
    );
    counter!(
        "database_connections_opened_total",
        "Connections to the database opened"
    );
    histogram!(
        "database_acquire_seconds",
        Unit::Seconds,
        "Time that the readiness check waited for a connection"
    );
    counter!(
        "database_errors_total",
        "Database errors that the client did not cause, by kind"
    );
    counter!(
        "database_password_renewals_total",
        "Readings of the secret after a rejected password, by outcome: renewed or failed"
    );
    gauge!("outbox_batch", "Events in the relay's last batch, 0 while it waits");
    counter!("outbox_sent_total", "Events of the outbox that the broker acknowledged");
    counter!("outbox_failures_total", "Failed attempts to publish an event");
    gauge!(
        "kafka_consumer_lag",
        "Messages of a partition that the group has not handled yet, the same at each member; NaN while no broker tells it"
    );
    gauge!(
        "kafka_last_message_age_seconds",
        Unit::Seconds,
        "Age of the last message when it was handled, by topic"
    );
    gauge!(
        "kafka_retry_pause_seconds",
        Unit::Seconds,
        "Pause of a partition before the message that failed is retried; 0 if it is not paused"
    );
    counter!(
        "kafka_rebalances_total",
        "Rebalances, by change: assigned, revoked or failed"
    );
    counter!(
        "kafka_client_errors_total",
        "Errors and warnings of librdkafka, by kind; the log has two lines a minute of each"
    );
    counter!(
        "kafka_dead_letters_failed_total",
        "Failures to write a dead letter, by the topic of the message"
    );
    counter!("kafka_messages_total", "Messages handled, by topic and outcome");
    counter!(
        "kafka_retries_total",
        "Messages that failed and will be retried, by topic"
    );
    counter!("token_failures_total", "Access tokens rejected, by reason");
    gauge!(
        "token_revocations_age_seconds",
        Unit::Seconds,
        "Time since the ended sessions were read from auth-service"
    );
    gauge!(
        "token_revocations_age_seconds",
        Unit::Seconds,
        "Time since the ended sessions were read from auth-service"
    );
    counter!(
        "trace_spans_total",
        "Spans, by outcome: exported to the collector, or dropped because it was unreachable"
    );
    gauge!(
        "process_start_time_seconds",
        Unit::Seconds,
        "Start time of the process, in seconds since 1970"
    );
    gauge!(
        "process_resident_memory_bytes",
        Unit::Bytes,
        "Resident memory of the process"
    );
    gauge!("process_open_fds", "Open files and sockets of the process");
    gauge!("process_threads", "Threads of the process");
}
