//! Ports that nobody else takes.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range from which the kernel gives ports to outgoing connections: none of them takes ours meanwhile.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A loopback port that is free now and that this process never gives twice.
///
/// # Panics
/// When none is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    if NEXT.load(Ordering::Relaxed) == 0 {
        // Test binaries that run side by side begin in different places.
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
