//! The comparison of outputs with the models: a log line in use, a panic in tests.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set by tests: an output that the model does not describe is a panic, and not only logged.
static STRICT: AtomicBool = AtomicBool::new(false);

/// Makes every output that the model of its operation does not describe a panic, in this process; for tests.
pub fn panic_at_unknown_members() {
    STRICT.store(true, Ordering::Relaxed);
}

/// Returns true after [`panic_at_unknown_members`].
pub fn is_on() -> bool {
    STRICT.load(Ordering::Relaxed)
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
        !is_on(),
        "the answer of {service}:{operation} differs from its model: {faults:?}"
    );
    tracing::error!(aws.service = %service, aws.operation = %operation, ?faults, "an answer differs from the API's model");
}
