//! Instances whose server cannot be started, such as one whose data is missing.
//!
//! They are `failed` ("Viewing Amazon RDS DB instance status"), and never new empty databases. The failure is found at each start of the
//! endpoint, and each second.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::Context;
use crate::records::Record;

/// The computed value with the identifier that no other instance has had.
const RESOURCE_ID: &str = "resource_id";

/// The resource identifiers of those instances.
#[derive(Default)]
struct Failed(Mutex<HashSet<String>>);

/// Records the result of the last start of a server.
pub fn record(cx: &Context, instance: &Record, has_failed: bool) {
    let failed = cx.extension::<Failed>();
    let mut failed = failed.0.lock();
    let id = instance.computed(RESOURCE_ID).unwrap_or_default();
    if has_failed {
        failed.insert(id);
    } else {
        failed.remove(&id);
    }
}

/// Returns true if the server of an instance could not be started.
pub fn has_failed(cx: &Context, instance: &Record) -> bool {
    let id = instance.computed(RESOURCE_ID).unwrap_or_default();
    cx.extension::<Failed>().0.lock().contains(&id)
}
