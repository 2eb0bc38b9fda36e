//! The state of a client's connection that its requests share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::connection::Connection;
use super::desync::Verdict;

/// A client's connection while it is served.
pub struct Session {
    pub connection: Connection,
    opened: Instant,
    /// Bytes of the client or to it.
    pub activity: Activity,
    /// Cancelled when the listener closes.
    pub stop: CancellationToken,
    verdicts: Mutex<VecDeque<Verdict>>,
    /// Requests that wait for the head of a target's response.
    awaiting: AtomicUsize,
    is_upgraded: AtomicBool,
}

/// A request that waits for a target, until it is dropped.
pub struct Awaiting<'a>(&'a Session);

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.awaiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    pub fn new(connection: Connection, stop: CancellationToken) -> Self {
        Self {
            connection,
            opened: Instant::now(),
            activity: Activity::default(),
            stop,
            verdicts: Mutex::default(),
            awaiting: AtomicUsize::new(0),
            is_upgraded: AtomicBool::new(false),
        }
    }

    /// Adds verdicts on heads, in the order of the requests.
    pub fn add_verdicts(&self, verdicts: Vec<Verdict>) {
        self.verdicts.lock().extend(verdicts);
    }

    /// Returns the verdict on the next request. A request of HTTP/2 has none, since its framing is unambiguous.
    pub fn next_verdict(&self) -> Verdict {
        self.verdicts.lock().pop_front().unwrap_or_default()
    }

    /// Marks the connection as waiting for a target until the returned value is dropped.
    pub fn await_target(&self) -> Awaiting<'_> {
        self.awaiting.fetch_add(1, Ordering::Relaxed);
        Awaiting(self)
    }

    /// Waits until the connection is idle. A connection that waits for a target is not: the request has its own timeout.
    pub async fn idle(&self, timeout: Duration) {
        loop {
            self.activity.idle(timeout).await;
            if self.awaiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            self.activity.touch();
        }
    }

    /// Returns true if the client has kept the connection for that long.
    pub fn is_older_than(&self, age: Duration) -> bool {
        self.opened.elapsed() >= age
    }

    /// Ends HTTP on this connection: what follows are the bytes of another protocol.
    pub fn upgrade(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    pub fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Ordering::Relaxed)
    }
}
