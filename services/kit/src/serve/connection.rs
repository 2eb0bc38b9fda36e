//! Connections: accepted up to a number, HTTP/1.1 only, ended in peace.
//!
//! There is no HTTP/2 here and no protocol is ever upgraded, so nothing can be smuggled past the routes in another one.

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
    time::Duration,
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
    stream::{Busy, Pace, Paced},
};

/// What all connections of one listener share.
#[derive(Clone)]
pub(super) struct Door {
    pub router: Router,
    pub limits: Limits,
    /// Connections that may still be opened.
    pub places: Arc<Semaphore>,
    /// Set while requests are still taken although the end is near: answers ask their clients to go elsewhere.
    pub stopping: Arc<AtomicBool>,
    /// No further connection, no further request on the open ones.
    pub closing: CancellationToken,
}

/// Serves until `closing`, then until the last open request is answered.
pub(super) async fn serve(listener: TcpListener, door: Door) -> anyhow::Result<()> {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = door.closing.cancelled() => break,
            Some(_) = open.join_next() => {}
            (stream, peer, place) = accept(&listener, &door.places) => {
                let door = door.clone();
                open.spawn(async move {
                    converse(stream, peer, door).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
    Ok(())
}

/// The next connection; while all places are taken, clients wait in the system's queue.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let place = match places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                tracing::warn!("as many connections are open as MAX_CONNECTIONS allows; further ones wait");
                match places.clone().acquire_owned().await {
                    Ok(place) => place,
                    // Nobody closes the semaphore.
                    Err(_) => std::future::pending().await,
                }
            }
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                return (stream, peer, place);
            }
            Err(error) if left(&error) => {}
            Err(error) => {
                // Such as too many open files, which only time mends.
                tracing::error!(error = %error, "a connection could not be accepted");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Whether the client is gone again, which concerns nobody else.
fn left(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

async fn converse(stream: TcpStream, peer: SocketAddr, door: Door) {
    let Door {
        router,
        limits,
        stopping,
        closing,
        ..
    } = door;
    let pace = Arc::new(Pace::default());
    let io = TokioIo::new(Paced::new(stream, pace.clone(), limits));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let busy = pace.complete();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        let stopping = stopping.clone();
        async move {
            let mut response: Response<Body> = answer.await?;
            if stopping.load(Ordering::Relaxed) {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Answer { body, _busy: busy }))
        }
    });
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Paced` keeps the times; with this, hyper looks at it when a connection becomes idle.
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
        tracing::debug!(error = %error, "a connection broke off");
    }
}

/// The body of an answer, which tells when it is done.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answer {
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
