//! A connection that gives up on clients that are too slow.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
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

/// How far a connection is with its present request, shared by the stream and the service.
///
/// A count, so that the next request's phase is never mistaken for the one before: each request adds three.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

const IDLE: u64 = 0;
const HEAD: u64 = 1;
const BUSY: u64 = 2;

impl Pace {
    /// The first bytes of a request came.
    fn begun(&self) {
        let count = self.0.load(Ordering::Relaxed);
        if count % 3 == IDLE {
            self.0.store(count + 1, Ordering::Relaxed);
        }
    }

    /// Its head is complete; from here the time for a request counts.
    pub(super) fn complete(self: &Arc<Self>) -> Busy {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count - count % 3 + BUSY, Ordering::Relaxed);
        Busy(self.clone())
    }
}

/// A request that is being answered; dropped when its answer is written.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pace>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A TCP stream that breaks off when a head takes too long to arrive, no request comes, or nobody reads the answer.
///
/// hyper's own `header_read_timeout` counts from the end of the request before, so it cannot tell an idle connection,
/// which load balancers keep for a minute, from a head that is sent a byte at a time.
pub(super) struct Paced {
    stream: TcpStream,
    pace: Arc<Pace>,
    limits: Limits,
    /// When the present phase ends, and which phase that is.
    reading: (Pin<Box<Sleep>>, u64),
    /// When a write that makes no progress ends.
    writing: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, pace: Arc<Pace>, limits: Limits) -> Self {
        Self {
            stream,
            pace,
            limits,
            // A client that has just connected is about to ask.
            reading: (Box::pin(sleep(limits.head)), IDLE),
            writing: None,
        }
    }

    fn too_slow_to_send(&mut self, cx: &mut Context<'_>) -> bool {
        let count = self.pace.0.load(Ordering::Relaxed);
        let limit = match count % 3 {
            BUSY => return false,
            HEAD => self.limits.head,
            _ => self.limits.idle,
        };
        let (timer, of) = &mut self.reading;
        if *of != count {
            *of = count;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx).is_ready()
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.writing = None;
            return outcome;
        }
        let stall = self.limits.stall;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(too_slow()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pace.begun();
        }
        if outcome.is_pending() && self.too_slow_to_send(cx) {
            return Poll::Ready(Err(too_slow()));
        }
        outcome
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client was too slow")
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            // Longer than a load balancer keeps an idle connection (60 s), which must not send into a closed one.
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(30),
            head_bytes: 32 * 1024,
            headers: 100,
        }
    }
}
