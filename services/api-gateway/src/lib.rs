#![doc = include_str!("../README.md")]

pub mod attempt;
pub mod body;
pub mod config;
pub mod cors;
pub mod docs;
pub mod forwarded;
pub mod gateway;
pub mod page;
pub mod peer;
pub mod places;
pub mod proxy;
pub mod rate;
pub mod route;
pub mod upstream;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodRouter, any, get};

use cors::Origins;
use gateway::Gateway;
use route::{ROUTES, Route};

/// All public routes, with their own fallback; pages of these origins may read the answers.
pub fn router(gateway: Gateway, origins: &Origins) -> Router {
    let mut router = Router::new()
        .route("/api-docs/{name}", get(docs::document))
        .route("/docs", get(docs::redirect))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::asset));
    for route in ROUTES {
        router = router.route(route.path, to(route));
        if route.below {
            router = router.route(&format!("{}/{{*rest}}", route.path), to(route));
        }
    }
    let router = router.fallback(proxy::nowhere).with_state(gateway);
    match cors::layer(origins) {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

fn to(route: &'static Route) -> MethodRouter<Gateway> {
    any(move |State(gateway): State<Gateway>, request: Request| proxy::forward(gateway, route, request))
}
