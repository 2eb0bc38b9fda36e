//! Stdout, and whether anybody still reads it.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// A process has one stdout.
static GONE: AtomicBool = AtomicBool::new(false);

/// Writes all of it at once. A reader that has gone (`| head`) is no error, but whoever writes without end asks
/// [`is_gone`].
pub fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        GONE.store(true, Ordering::Relaxed);
    }
}

/// Whether a write has met a closed pipe.
pub fn is_gone() -> bool {
    GONE.load(Ordering::Relaxed)
}
