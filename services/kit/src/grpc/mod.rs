//! Spans and metrics of gRPC calls, on both sides.
//!
//! The names of the metrics are those of grpc-ecosystem's go-grpc-prometheus, with the labels `service`, `method` and `code`.

mod age;
mod client;
mod server;

use std::time::Instant;

use tonic::Code;

pub use age::max_connection_age;
pub use client::{repeat_if_cancelled, traced_call};
pub use server::TelemetryLayer;

use crate::trace::Span;

/// The side of a call that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// A call in progress; it is counted, and its span ends, when this is dropped.
#[derive(Debug)]
struct Call {
    side: Side,
    service: String,
    method: String,
    span: Span,
    started: Instant,
    /// Cancelled, unless the call ends before it is dropped.
    code: Code,
}

impl Call {
    fn start(side: Side, service: &str, method: &str, span: Span) -> Self {
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service.to_owned());
        span.set("rpc.method", method.to_owned());
        let started = match side {
            Side::Server => "grpc_server_started_total",
            Side::Client => "grpc_client_started_total",
        };
        let (service, method) = (service.to_owned(), method.to_owned());
        metrics::counter!(started, "service" => service.clone(), "method" => method.clone()).increment(1);
        Self {
            side,
            service,
            method,
            span,
            started: Instant::now(),
            code: Code::Cancelled,
        }
    }

    fn ended(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.span.set("rpc.grpc.status_code", i64::from(i32::from(self.code)));
        let server = self.side == Side::Server;
        if is_failure(self.code, server) {
            self.span.fail(name(self.code));
        }
        let (handled, seconds) = match self.side {
            Side::Server => ("grpc_server_handled_total", "grpc_server_handling_seconds"),
            Side::Client => ("grpc_client_handled_total", "grpc_client_handling_seconds"),
        };
        let labels = [
            ("service", std::mem::take(&mut self.service)),
            ("method", std::mem::take(&mut self.method)),
            ("code", name(self.code).to_owned()),
        ];
        metrics::counter!(handled, &labels).increment(1);
        metrics::histogram!(seconds, &labels[..2]).record(self.started.elapsed().as_secs_f64());
    }
}

/// Returns whether a status is a failure of this side: a client's errors are not failures of the server (OpenTelemetry's
/// semantic conventions for gRPC).
fn is_failure(code: Code, server: bool) -> bool {
    if server {
        matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        )
    } else {
        code != Code::Ok
    }
}

/// Returns the code's name as in go-grpc-prometheus.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
