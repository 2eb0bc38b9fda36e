//! The endpoint's HTTP server: sockets, start and stop.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cloudformation::stack;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::store::Store;
use crate::{Config, Context, service, wire};

/// Timeout for open requests when the endpoint stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The folders in the state directory that services fill with what the state file describes.
const DATA_FOLDERS: &[&str] = &["rds", "kafka", "tasks", "registry", "s3", "regions"];

/// Runs the endpoint until SIGTERM, SIGINT or `POST /_localstack/shutdown`, then stops its processes and keeps the state.
///
/// # Errors
/// When the port is in use, the state directory cannot be created, or another endpoint uses it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let port = config.port;
    let listeners = bind(port).await?;
    let cx = assemble(config)?;
    let pid_file = cx.state_dir().join("endpoint.pid");
    fs::write(&pid_file, std::process::id().to_string())
        .with_context(|| format!("cannot write {}", pid_file.display()))?;
    let stop = cx.clone();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stop.shutdown().cancelled() => {}
        }
        stop.shutdown().cancel();
    });
    let result = async {
        cx.start().await?;
        tracing::info!(port, state = %cx.state_dir().display(), "the embedded endpoint is ready");
        serve(&cx, listeners).await
    }
    .await;
    cx.shutdown().cancel();
    cx.stop().await;
    let _ = fs::remove_file(&pid_file);
    result
}

/// Creates the state directory (0700) and the context with every service registered, and starts nothing.
///
/// # Errors
/// When the state directory cannot be created, or another endpoint uses it.
pub fn assemble(config: Config) -> anyhow::Result<Context> {
    let folder = config.state_dir.clone();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot create the state directory {}", folder.display()))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot set the permissions of the state directory {}", folder.display()))?;
    let state = folder.join("state.redb");
    let store = Store::open(&state, DATA_FOLDERS)?.crashing_after(config.behavior.crash_after_commits);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o600))?;
    let cx = Context::new(config, store)?;
    cx.register(service::all());
    Ok(cx)
}

/// Returns the routes of the endpoint.
pub fn router(cx: Context) -> Router {
    Router::new()
        .route("/_localstack/health", get(health))
        .route("/_localstack/info", get(info))
        .route("/_localstack/shutdown", post(shutdown))
        .route(service::ses::ROUTE, get(service::ses::list).delete(service::ses::clear))
        .route(
            service::ecs::credentials::ROUTE,
            get(service::ecs::credentials::respond),
        )
        .route(service::ecs::metadata::ROUTE, get(service::ecs::metadata::of_container))
        .route(service::ecs::metadata::ROUTE_BELOW, get(service::ecs::metadata::below))
        .route(
            service::cloudformation::wait_condition::ROUTE,
            put(service::cloudformation::wait_condition::signal),
        )
        .fallback(aws)
        .layer(axum::middleware::from_fn(reject_foreign))
        .with_state(cx)
}

async fn bind(port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let first = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: does another process use the port?"))?;
    let mut listeners = vec![first];
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
        Ok(second) => listeners.push(second),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            return Err(error)
                .with_context(|| format!("cannot listen on [::1]:{port}: does another process use the port?"));
        }
        Err(error) => tracing::warn!(%error, "this machine has no IPv6 loopback; listening on 127.0.0.1 only"),
    }
    Ok(listeners)
}

async fn serve(cx: &Context, listeners: Vec<TcpListener>) -> anyhow::Result<()> {
    let router = router(cx.clone());
    let mut servers = tokio::task::JoinSet::new();
    for listener in listeners {
        let (router, shutdown) = (router.clone(), cx.shutdown().clone());
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        servers.spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await
        });
    }
    cx.shutdown().cancelled().await;
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, async { while servers.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Rejects requests that do not come from programs on this machine: a web page sends an `Origin`, or another `Host`.
async fn reject_foreign(request: Request<Body>, next: axum::middleware::Next) -> Response<Body> {
    let rejected = if request.headers().contains_key(header::ORIGIN) {
        Some("a request with an Origin header, which only web pages send")
    } else if !is_local(request.headers(), request.uri()) {
        Some("a request for another host than localhost")
    } else {
        None
    };
    match rejected {
        Some(what) => {
            let message = format!("The embedded endpoint rejects {what}.");
            (
                StatusCode::FORBIDDEN,
                Json(json!({"__type": "AccessDeniedException", "message": message})),
            )
                .into_response()
        }
        None => next.run(request).await,
    }
}

fn is_local(headers: &HeaderMap, uri: &http::Uri) -> bool {
    let host = headers
        .get(header::HOST)
        .map(|host| host.to_str().unwrap_or("?").to_owned());
    let Some(host) = host.or_else(|| uri.authority().map(ToString::to_string)) else {
        return false;
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let is_loopback = name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()) || name == "[::1]";
    let is_local_name = ["localhost", "localhost.localstack.cloud"]
        .iter()
        .any(|local| name == *local || name.strip_suffix(local).is_some_and(|rest| rest.ends_with('.')));
    is_loopback || is_local_name
}

async fn aws(State(cx): State<Context>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    // The paths of Amazon SES begin like those of a registry, whose requests are not signed.
    let scope = wire::credential_scope(request.headers(), request.uri());
    let is_ses = scope.is_some_and(|(_, service)| service == "ses");
    if !is_ses && (path == "/v2" || path.starts_with("/v2/")) {
        return service::ecr::registry(cx, request).await;
    }
    if service::s3::is_s3_request(request.headers(), request.uri()) {
        return service::s3::handle(cx, request).await;
    }
    wire::handle(&cx, request).await
}

/// Returns the health document; 500 if the state cannot be read: the removal of the endpoint depends on its stacks.
async fn health(State(cx): State<Context>) -> Result<Json<Value>, (StatusCode, String)> {
    let services: Map<String, Value> = cx
        .services()
        .iter()
        .map(|s| (s.name().to_owned(), "running".into()))
        .collect();
    // Clients of HTTPS listeners need this CA file.
    let ca_file = CertificateAuthority::for_public_names(cx.root_dir()).path();
    let mut stacks = Map::new();
    for cx in cx.regions() {
        let names = stack::names(&cx).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
        stacks.insert(cx.region().to_owned(), names.into());
    }
    Ok(Json(json!({
        "services": services, "stacks": stacks, "background_faults": cx.background_faults(),
        "task_memory": service::ecs::memory_limits::MECHANISM, "edition": "embedded", "version": env!("CARGO_PKG_VERSION"), "authority": ca_file,
    })))
}

async fn info(State(cx): State<Context>) -> Json<Value> {
    Json(json!({
        "edition": "embedded",
        "version": env!("CARGO_PKG_VERSION"),
        "region": cx.region(),
        "account": cx.account(),
        "port": cx.config().port,
        "smtp": service::ses::smtp_address(&cx).to_string(),
        "state_dir": cx.state_dir(),
        "pid": std::process::id(),
    }))
}

async fn shutdown(State(cx): State<Context>) -> StatusCode {
    cx.shutdown().cancel();
    StatusCode::ACCEPTED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        is_local(&headers, &"/".parse().unwrap())
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in [
            "localhost:4566",
            "127.0.0.1:4566",
            "[::1]:4566",
            "s3.localhost.localstack.cloud:4566",
            "LOCALHOST",
        ] {
            assert!(local(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "evillocalhost",
            "127.0.0.1.nip.io",
            "10.0.0.1:4566",
        ] {
            assert!(!local(host), "{host}");
        }
    }
}
