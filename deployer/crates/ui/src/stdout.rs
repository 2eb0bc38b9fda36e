//! Standard output, and whether its reader is still connected.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// A process has one stdout.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes a text in one call. A reader that has disconnected (`| head`) is not an error; what writes in an endless loop checks
/// [`is_closed`].
pub fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Returns whether a write has met a closed pipe.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}
