//! A client's connection: its requests are inspected on the way in, and it is closed so that the client gets the last response.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::request_gate::RequestGate;
use super::session::Session;

/// Time for which the rest of a body is read and dropped, and a connection that is being closed.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of such a body, or of such a connection, that are read and dropped.
pub const DRAIN_BYTES: usize = 8 << 20;

/// A connection whose shutdown closes the write side, and reads on until the client closes too: a connection that is closed
/// with unread bytes is reset, and the client loses what it has not read.
pub struct ClientStream<S> {
    stream: S,
    session: Arc<Session>,
    /// `None` for HTTP/2.
    gate: Option<RequestGate>,
    /// After the shutdown of the write side: the time and the bytes that are still read.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> ClientStream<S> {
    /// Wraps a connection of HTTP/1 if `is_inspected`, otherwise of HTTP/2.
    pub fn new(stream: S, session: Arc<Session>, is_inspected: bool) -> Self {
        Self {
            stream,
            session,
            gate: is_inspected.then(RequestGate::default),
            lingering: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(gate) = &mut this.gate else {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() > before {
                this.session.activity.touch();
            }
            return Poll::Ready(Ok(()));
        };
        if this.session.is_upgraded() {
            gate.open();
        }
        loop {
            let released = gate.take(buffer.remaining());
            if !released.is_empty() {
                buffer.put_slice(&released);
                return Poll::Ready(Ok(()));
            }
            let mut space = ReadBuf::new(buffer.initialize_unfilled());
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut space))?;
            let received = space.filled();
            let is_end = received.is_empty();
            // A head that drips in has one idle timeout from its first byte to its last.
            let was_in_head = gate.is_in_head();
            let verdicts = gate.push(received);
            if !was_in_head || !gate.is_in_head() {
                this.session.activity.touch();
            }
            this.session.add_verdicts(verdicts);
            if is_end {
                gate.open();
                buffer.put_slice(&gate.take(buffer.remaining()));
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.session.activity.touch();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes));
        self.session.activity.touch();
        Poll::Ready(written)
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
