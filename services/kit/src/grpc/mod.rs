//! gRPC: what each call adds to traces and metrics, on both ends.
//!
//! Metrics are named as grpc-ecosystem's go-grpc-prometheus names them, with the labels `service`, `method` and `code`.

mod client;
mod server;

use std::time::Instant;

use tonic::Code;

pub use client::observed;
pub use server::Observe;

use crate::trace::Span;

/// Which end of a call is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Server,
    Client,
}

/// A call that is under way; it is counted, and its span ends, when this is dropped.
#[derive(Debug)]
struct Call {
    end: End,
    service: String,
    method: String,
    span: Span,
    started: Instant,
    /// A call that is dropped before it ended was cancelled.
    code: Code,
}

impl Call {
    fn started(end: End, service: &str, method: &str, mut span: Span) -> Self {
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service.to_owned());
        span.set("rpc.method", method.to_owned());
        let started = match end {
            End::Server => "grpc_server_started_total",
            End::Client => "grpc_client_started_total",
        };
        let (service, method) = (service.to_owned(), method.to_owned());
        metrics::counter!(started, "service" => service.clone(), "method" => method.clone()).increment(1);
        Self {
            end,
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
        let server = self.end == End::Server;
        if failed(self.code, server) {
            self.span.fail(name(self.code));
        }
        let (handled, seconds) = match self.end {
            End::Server => ("grpc_server_handled_total", "grpc_server_handling_seconds"),
            End::Client => ("grpc_client_handled_total", "grpc_client_handling_seconds"),
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

/// Whether a status is the failure of this end: the caller's mistakes are no failures of a server (OpenTelemetry's
/// semantic conventions for gRPC).
fn failed(code: Code, server: bool) -> bool {
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

/// The code's name, as go-grpc-prometheus writes it.
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
