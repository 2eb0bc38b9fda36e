//! An HTTP load balancer that behaves as an ALB with one target group.
//!
//! It never retries a request, and responds with 502 if a target closes the connection (AWS: "Troubleshoot your Application
//! Load Balancers"). A deregistered target gets no new requests and completes those in flight ("deregistration delay").

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, Uri, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

/// Targets behind one public address.
pub struct TargetGroup {
    address: SocketAddr,
    targets: Targets,
    server: JoinHandle<()>,
}

type Targets = Arc<Mutex<RoundRobin>>;

#[derive(Default)]
struct RoundRobin {
    targets: Vec<Target>,
    next: usize,
}

#[derive(Clone)]
struct Target {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
    in_flight: Arc<AtomicUsize>,
}

impl TargetGroup {
    /// Listens on a free loopback port; without targets, it responds with 503.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> std::io::Result<TargetGroup> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let targets = Targets::default();
        let router = Router::new().fallback(forward).with_state(targets.clone());
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            // Dropping the group aborts this task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(TargetGroup {
            address,
            targets,
            server,
        })
    }

    /// Returns the public address.
    ///
    /// # Panics
    /// Never: an address and a port form a URL.
    pub fn url(&self) -> Uri {
        let url = format!("http://{}", self.address);
        url.parse().expect("a valid URL")
    }

    /// Adds a target; the caller ensures that it is healthy.
    pub fn register(&self, address: SocketAddr) {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        self.targets.lock().targets.push(Target {
            address,
            client,
            in_flight: Arc::default(),
        });
    }

    /// Removes a target, and waits until its requests in flight are complete.
    pub async fn deregister(&self, address: SocketAddr) {
        let removed: Vec<Target> = {
            let mut round_robin = self.targets.lock();
            let (removed, others) = round_robin
                .targets
                .drain(..)
                .partition(|target| target.address == address);
            round_robin.targets = others;
            removed
        };
        while removed
            .iter()
            .any(|target| target.in_flight.load(Ordering::Acquire) > 0)
        {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for TargetGroup {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(
    State(targets): State<Targets>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let Some((target, _in_flight)) = choose(&targets) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://{}{path}", target.address).parse() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = uri;
    request.headers_mut().remove(header::CONNECTION);
    if let Ok(client) = HeaderValue::try_from(client.ip().to_string()) {
        request.headers_mut().append("x-forwarded-for", client);
    }
    match target.client.request(request).await {
        Ok(mut response) => {
            // The header concerns the connection to the target only.
            response.headers_mut().remove(header::CONNECTION);
            response.map(Body::new)
        }
        Err(error) => {
            eprintln!("target {} failed: {error:?}", target.address);
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// Returns the next target in turn, with a guard that counts the request in flight.
fn choose(targets: &Targets) -> Option<(Target, InFlight)> {
    let mut round_robin = targets.lock();
    let at = round_robin.next.checked_rem(round_robin.targets.len())?;
    round_robin.next = at + 1;
    let target = round_robin.targets[at].clone();
    target.in_flight.fetch_add(1, Ordering::AcqRel);
    let guard = InFlight(target.in_flight.clone());
    Some((target, guard))
}

struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
