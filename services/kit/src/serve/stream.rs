//! A TCP stream with timeouts for slow clients.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::Limits;

/// Phase of a connection's current request, shared by the stream and the service.
///
/// A counter, so that the same phase of two requests differs: each request adds three.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU64, AtomicBool);

const IDLE: u64 = 0;
const HEAD: u64 = 1;
const RESPONDING: u64 = 2;

impl Phase {
    /// Records the first bytes of a request; returns false if they are not the first.
    fn head_started(&self) -> bool {
        let count = self.0.load(Ordering::Relaxed);
        if count % 3 == IDLE {
            self.0.store(count + 1, Ordering::Relaxed);
        }
        count % 3 == IDLE
    }

    /// Returns true once if the target of the current request has a fragment, which hyper removes.
    pub(super) fn take_fragment(&self) -> bool {
        self.1.swap(false, Ordering::Relaxed)
    }

    /// Records the complete head; from here on, the time limit of requests applies.
    pub(super) fn head_complete(self: &Arc<Self>) -> Responding {
        let count = self.0.load(Ordering::Relaxed);
        // The task that drained the request before may not have ended yet.
        let next = if count % 3 == RESPONDING {
            count + 3
        } else {
            count - count % 3 + RESPONDING
        };
        self.0.store(next, Ordering::Relaxed);
        Responding(self.clone(), next)
    }
}

/// A request with a complete head; dropped when its response is written and its body is read.
#[derive(Debug)]
pub(super) struct Responding(Arc<Phase>, u64);

impl Drop for Responding {
    fn drop(&mut self) {
        let Self(phase, own) = self;
        let _ = phase
            .0
            .compare_exchange(*own, *own + 1, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A TCP stream that fails when a head takes too long, no request arrives, or the client does not read the response.
///
/// Its shutdown closes the write side, and reads until the client closes too, within [`Limits`]: a connection that is closed
/// with unread bytes is reset, and the client may lose the response.
///
/// hyper's own `header_read_timeout` counts from the end of the previous request, so it cannot distinguish an idle
/// connection, which load balancers keep for a minute, from a head that is sent a byte at a time.
pub(super) struct TimedStream {
    stream: TcpStream,
    phase: Arc<Phase>,
    limits: Limits,
    /// Timeout of a phase, and that phase.
    read_timeout: (Pin<Box<Sleep>>, u64),
    /// Timeout of a write that makes no progress.
    write_timeout: Option<Pin<Box<Sleep>>>,
    /// After the shutdown of the write side: the time and the bytes that are still read.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl TimedStream {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, limits: Limits) -> Self {
        Self {
            stream,
            phase,
            limits,
            // A client that has just connected is about to send a request.
            read_timeout: (Box::pin(sleep(limits.head)), IDLE),
            write_timeout: None,
            lingering: None,
        }
    }

    /// Returns whether the client took too long to send.
    fn read_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        let count = self.phase.0.load(Ordering::Relaxed);
        let limit = match count % 3 {
            RESPONDING => return false,
            HEAD => self.limits.head,
            _ => self.limits.idle,
        };
        let (timer, of) = &mut self.read_timeout;
        if *of != count {
            *of = count;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx).is_ready()
    }

    /// Fails a write that makes no progress for too long.
    fn check_write<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timeout = None;
            return outcome;
        }
        let stall = self.limits.stall;
        let timer = self.write_timeout.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(timed_out()))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() && self.phase.head_started() {
            self.phase.1.store(has_fragment(read), Ordering::Relaxed);
        }
        if outcome.is_pending() && self.read_timed_out(cx) {
            return Poll::Ready(Err(timed_out()));
        }
        outcome
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check_write(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.check_write(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (timer, rest) = if let Some(lingering) = &mut this.lingering {
            lingering
        } else {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            let timer = Box::pin(sleep(this.limits.drain));
            this.lingering.insert((timer, this.limits.drain_bytes))
        };
        let mut bytes = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = Pin::new(&mut this.stream).poll_read(cx, &mut buffer);
            let count = buffer.filled().len();
            if timer.as_mut().poll(cx).is_ready() || (read.is_ready() && (count == 0 || count > *rest)) {
                return Poll::Ready(Ok(()));
            }
            ready!(read)?;
            *rest -= count;
        }
    }
}

/// Returns true if the bytes begin with a request line whose target contains `#`.
fn has_fragment(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default().trim_ascii_end();
    // The rest of a pipelined head may look otherwise.
    (line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")) && line.contains(&b'#')
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            // Longer than a load balancer keeps an idle connection (60 s), which must not send into a closed one.
            idle: Duration::from_secs(75),
            age: Duration::from_mins(1),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            drain_bytes: 8 << 20,
            head_bytes: 32 * 1024,
            headers: 100,
        }
    }
}
