//! Connections: a bounded number, HTTP/1.1 only, closed gracefully.
//!
//! HTTP/2 and protocol upgrades are not supported, so no request can bypass the routes in another protocol.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::ConnectInfo};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1::Builder,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Limits,
    malformed::Malformed,
    request_body::RequestBody,
    stream::{Phase, Responding, TimedStream},
};

/// Settings and state that the connections of one listener share.
#[derive(Clone)]
pub(super) struct ListenerContext {
    pub router: Router,
    pub limits: Limits,
    /// Connections that may still be opened.
    pub permits: Arc<Semaphore>,
    /// Set while requests are still accepted after the stop signal: responses ask clients to close the connection.
    pub stopping: Arc<AtomicBool>,
    /// Cancelled when no further connection or request is accepted.
    pub closing: CancellationToken,
}

/// Serves until `closing`, then until the last open request has its response.
pub(super) async fn serve(listener: TcpListener, context: ListenerContext) -> anyhow::Result<()> {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = context.closing.cancelled() => break,
            Some(_) = open.join_next() => {}
            (stream, peer, permit) = accept(&listener, &context.permits) => {
                let context = context.clone();
                open.spawn(async move {
                    serve_connection(stream, peer, context).await;
                    drop(permit);
                });
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
    Ok(())
}

/// Accepts the next connection; while none is permitted, clients wait in the kernel's queue.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let permit = if let Ok(permit) = permits.clone().try_acquire_owned() {
            permit
        } else {
            tracing::warn!("MAX_CONNECTIONS connections are open; further ones wait");
            match permits.clone().acquire_owned().await {
                Ok(permit) => permit,
                // The semaphore is never closed.
                Err(_) => std::future::pending().await,
            }
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                return (stream, peer, permit);
            }
            Err(error) if is_disconnect(&error) => {}
            Err(error) => {
                // Such as too many open files, which only other connections can release.
                tracing::error!(error = %error, "cannot accept a connection");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Returns whether the client closed the connection before it was accepted, which does not affect others.
fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, context: ListenerContext) {
    let ListenerContext {
        router,
        limits,
        stopping,
        closing,
        ..
    } = context;
    // Connections that were opened together must not be closed together.
    let renewed_at = Instant::now() + limits.age.mul_f64(rand::random_range(0.8..=1.2));
    let phase = Arc::new(Phase::default());
    let io = TokioIo::new(TimedStream::new(stream, phase.clone(), limits));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let responding = Arc::new(phase.head_complete());
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(malformed) = Malformed::of(&request, phase.take_fragment()) {
            request.extensions_mut().insert(malformed);
        }
        let (parts, body) = request.into_parts();
        let body = RequestBody::new(body, &parts.headers, limits, responding.clone());
        let response = router.clone().oneshot(Request::from_parts(parts, Body::new(body)));
        let stopping = stopping.clone();
        async move {
            let mut response: Response<Body> = response.await?;
            if stopping.load(Ordering::Relaxed) || Instant::now() >= renewed_at {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| ResponseBody {
                body,
                _responding: responding,
            }))
        }
    });
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        // `TimedStream` has the timeouts; this makes hyper poll it when a connection becomes idle.
        .header_read_timeout(limits.idle + limits.head)
        .max_headers(limits.headers)
        .max_header_size(limits.head_bytes);
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended with an error");
    }
}

/// The body of a response; dropping it ends the phase of the request.
struct ResponseBody {
    body: Body,
    _responding: Arc<Responding>,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
