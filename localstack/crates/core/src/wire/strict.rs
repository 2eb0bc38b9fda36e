//! The comparison of outputs with the models: a log line in use, a panic in tests.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::model::Model;
use super::{json, xml};

/// Set by tests: an output that the model does not describe is a panic, and not only logged.
static STRICT: AtomicBool = AtomicBool::new(false);

/// Makes every output that the model of its operation does not describe a panic, in this process; for tests.
pub fn panic_at_unknown_members() {
    STRICT.store(true, Ordering::Relaxed);
}

/// Checks an output against the model of its operation, after [`panic_at_unknown_members`]; does nothing before.
///
/// # Panics
/// If the service has a model that lacks the operation, or the output differs from the model.
pub fn check_output(service: &str, operation: &str, output: &Value) {
    if !STRICT.load(Ordering::Relaxed) {
        return;
    }
    match Model::of(service) {
        Some(model) if model.namespace.is_empty() => json::check_output(service, operation, output),
        Some(_) => xml::check_output(service, operation, output),
        None => {}
    }
}

/// Reports what an output has that the model of its operation has not.
///
/// # Panics
/// After [`panic_at_unknown_members`], if there are any.
pub fn report(service: &str, operation: &str, faults: &[String]) {
    if faults.is_empty() {
        return;
    }
    assert!(
        !STRICT.load(Ordering::Relaxed),
        "the answer of {service}:{operation} differs from its model: {faults:?}"
    );
    tracing::error!(aws.service = %service, aws.operation = %operation, ?faults, "an answer differs from the API's model");
}
