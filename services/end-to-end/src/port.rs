//! Free ports.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Ports below the kernel's ephemeral range, so that no outgoing connection takes one before it is bound.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Returns a free loopback port that this process has not returned before.
///
/// # Panics
/// If none is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    if NEXT.load(Ordering::Relaxed) == 0 {
        // Concurrent test binaries start at different ports.
        let _ = NEXT.compare_exchange(0, rand::random_range(RANGE), Ordering::Relaxed, Ordering::Relaxed);
    }
    for _ in RANGE {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + port % (RANGE.end - RANGE.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no loopback port is free in {RANGE:?}");
}
