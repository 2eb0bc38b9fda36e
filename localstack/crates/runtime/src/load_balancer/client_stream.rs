//! A client's connection, closed so that the client gets the last response.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Time for which the rest of a body is read and dropped, and a connection that is being closed.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of such a body, or of such a connection, that are read and dropped.
pub const DRAIN_BYTES: usize = 8 << 20;

/// Looks for a fragment (`#`) in the target of each request, which hyper removes.
#[derive(Clone)]
pub struct TargetScan(Arc<Scanned>);

struct Scanned {
    is_at_head: AtomicBool,
    has_fragment: AtomicBool,
}

impl TargetScan {
    fn new() -> Self {
        Self(Arc::new(Scanned {
            is_at_head: AtomicBool::new(true),
            has_fragment: AtomicBool::new(false),
        }))
    }

    /// Returns true once if the target of the current request has a fragment.
    pub fn take_fragment(&self) -> bool {
        self.0.has_fragment.swap(false, Ordering::Relaxed)
    }

    /// Expects the next request, after the end of a body.
    pub fn expect_head(&self) {
        self.0.is_at_head.store(true, Ordering::Relaxed);
    }

    /// Looks at the first bytes of a request.
    fn look_at(&self, bytes: &[u8]) {
        if !bytes.is_empty() && self.0.is_at_head.swap(false, Ordering::Relaxed) {
            let line = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next();
            let line = line.unwrap_or_default().trim_ascii_end();
            // HTTP/2, and the rest of a pipelined head, look otherwise.
            let is_line = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
            let has_fragment = is_line && line.contains(&b'#');
            self.0.has_fragment.store(has_fragment, Ordering::Relaxed);
        }
    }
}

/// A connection whose shutdown closes the write side, and reads on until the client closes too: a connection that is closed
/// with unread bytes is reset, and the client loses what it has not read.
pub struct ClientStream<S> {
    stream: S,
    scan: TargetScan,
    /// After the shutdown of the write side: the time and the bytes that are still read.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> ClientStream<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            scan: TargetScan::new(),
            lingering: None,
        }
    }

    pub fn scan(&self) -> TargetScan {
        self.scan.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.scan.look_at(&buffer.filled()[before..]);
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
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
            this.lingering.insert((Box::pin(sleep(DRAIN_TIMEOUT)), DRAIN_BYTES))
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
