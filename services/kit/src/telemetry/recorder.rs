//! The one metrics recorder of the process, and what is looked at when it is read.

use std::sync::{Mutex, OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::process;

/// Upper bounds of every histogram, in seconds.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

type Look = Box<dyn Fn() + Send>;

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
static LOOKS: Mutex<Vec<Look>> = Mutex::new(Vec::new());

/// Makes sure that what is counted from now on is kept; whoever counts before counts for nothing.
pub(crate) fn install() {
    let _ = handle();
}

/// Runs `look` before each reading: it sets gauges that nobody sets otherwise. It must not wait.
pub fn before_reading(look: impl Fn() + Send + 'static) {
    looks().push(Box::new(look));
}

/// All metrics in the text format of Prometheus; none when another recorder was installed before.
pub(crate) fn read() -> Option<String> {
    let handle = handle()?;
    process::look();
    looks().iter().for_each(|look| look());
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

fn looks() -> std::sync::MutexGuard<'static, Vec<Look>> {
    LOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What each metric of the kit means; a service describes its own where it starts.
fn describe() {
    use metrics::{Unit, describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};

    counter!(
        "http_requests_total",
        "HTTP requests that were answered, by route pattern; 499 is a client that left"
    );
    histogram!(
        "http_request_duration_seconds",
        Unit::Seconds,
        "How long HTTP requests took"
    );
    gauge!("http_requests_in_flight", "HTTP requests that are being answered");
    counter!("grpc_server_started_total", "gRPC calls that came in");
    counter!(
        "grpc_server_handled_total",
        "gRPC calls that were answered, by status code"
    );
    histogram!(
        "grpc_server_handling_seconds",
        Unit::Seconds,
        "How long gRPC calls took to answer"
    );
    counter!("grpc_client_started_total", "gRPC calls that were made");
    counter!("grpc_client_handled_total", "gRPC calls that ended, by status code");
    histogram!(
        "grpc_client_handling_seconds",
        Unit::Seconds,
        "How long gRPC calls took, as the caller sees it"
    );
    gauge!(
        "database_pool_connections",
        "Connections of the database pool, by whether they are idle or in use"
    );
    gauge!(
        "database_pool_max_connections",
        "Most connections that the database pool opens"
    );
    counter!(
        "database_connections_opened_total",
        "Connections to the database that were opened"
    );
    histogram!(
        "database_acquire_seconds",
        Unit::Seconds,
        "How long the readiness check waited for a connection"
    );
    counter!(
        "database_errors_total",
        "Database calls that failed for a reason that is not the caller's, by kind"
    );
    gauge!(
        "outbox_batch",
        "Events of the outbox that the relay read last, 0 when it waits"
    );
    counter!("outbox_sent_total", "Events of the outbox that the broker has");
    counter!("outbox_failures_total", "Tries to publish an event that failed");
    gauge!(
        "kafka_consumer_lag",
        "Messages of a partition that are not handled yet; 0 where another member has the partition"
    );
    gauge!(
        "kafka_last_message_age_seconds",
        Unit::Seconds,
        "How old the last message was when it was handled, by topic"
    );
    gauge!(
        "kafka_retry_pause_seconds",
        Unit::Seconds,
        "How long a partition pauses before the message that failed is tried again; 0 when it goes on"
    );
    counter!(
        "kafka_rebalances_total",
        "Times that partitions came or went, by change"
    );
    counter!(
        "kafka_client_troubles_total",
        "What librdkafka complained of, by kind; the log has two lines a minute of each"
    );
    counter!(
        "kafka_letters_failed_total",
        "Dead letters that could not be written, by the topic of the message"
    );
    counter!(
        "kafka_messages_total",
        "Messages that were handled, by topic and outcome"
    );
    counter!(
        "kafka_retries_total",
        "Messages that could not be handled yet and will be tried again, by topic"
    );
    counter!("token_failures_total", "Access tokens that opened no door, by reason");
    counter!(
        "trace_spans_total",
        "Spans that were exported to the collector, or dropped because it was away"
    );
    gauge!(
        "process_start_time_seconds",
        Unit::Seconds,
        "When the process started, in seconds since 1970"
    );
    gauge!(
        "process_resident_memory_bytes",
        Unit::Bytes,
        "Memory that the process has in RAM"
    );
    gauge!("process_open_fds", "Files and sockets that the process has open");
    gauge!("process_threads", "Threads of the process");
}
