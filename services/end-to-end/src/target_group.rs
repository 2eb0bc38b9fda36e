//! An HTTP load balancer in front of replicas, as an ALB with one target group is.
//!
//! It never sends a request twice, and a target that breaks off is a 502 (AWS: "Troubleshoot your Application Load
//! Balancers"). A target that is deregistered gets no new request, and those under way go on ("deregistration delay").

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
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
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

/// Targets that share a public address.
pub struct TargetGroup {
    address: SocketAddr,
    targets: Targets,
    server: JoinHandle<()>,
}

type Targets = Arc<Mutex<Ring>>;

#[derive(Default)]
struct Ring {
    targets: Vec<Target>,
    next: usize,
}

#[derive(Clone)]
struct Target {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
    under_way: Arc<AtomicUsize>,
}

impl TargetGroup {
    /// Listens on a free loopback port; without targets it answers 503.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<TargetGroup> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let targets = Targets::default();
        let router = Router::new().fallback(pass).with_state(targets.clone());
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            // It ends with the group, by being aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(TargetGroup {
            address,
            targets,
            server,
        })
    }

    /// The public address.
    pub fn url(&self) -> Uri {
        let url = format!("http://{}", self.address);
        url.parse().expect("a socket address makes a URL")
    }

    /// Sends a share of the requests to `address` from now on; the caller knows that it is healthy.
    pub fn register(&self, address: SocketAddr) {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        lock(&self.targets).targets.push(Target {
            address,
            client,
            under_way: Arc::default(),
        });
    }

    /// Sends no more requests to `address`, and comes back when those under way are answered.
    pub async fn deregister(&self, address: SocketAddr) {
        let gone: Vec<Target> = {
            let mut ring = lock(&self.targets);
            let (gone, stay) = ring.targets.drain(..).partition(|target| target.address == address);
            ring.targets = stay;
            gone
        };
        while gone.iter().any(|target| target.under_way.load(Ordering::Acquire) > 0) {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for TargetGroup {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(
    State(targets): State<Targets>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let Some((target, _under_way)) = choose(&targets) else {
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
            // What the target says of its connection is not for the client's.
            response.headers_mut().remove(header::CONNECTION);
            response.map(Body::new)
        }
        Err(error) => {
            eprintln!("target {} broke off: {error:?}", target.address);
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// The next target in turn, counted as busy until the guard is dropped.
fn choose(targets: &Targets) -> Option<(Target, Busy)> {
    let mut ring = lock(targets);
    let at = ring.next.checked_rem(ring.targets.len())?;
    ring.next = at + 1;
    let target = ring.targets[at].clone();
    target.under_way.fetch_add(1, Ordering::AcqRel);
    let busy = Busy(target.under_way.clone());
    Some((target, busy))
}

struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock(targets: &Targets) -> std::sync::MutexGuard<'_, Ring> {
    targets.lock().unwrap_or_else(PoisonError::into_inner)
}
