//! The public routes, and the OpenAPI document of those that the gateway serves itself.

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodRouter, any, get};
use utoipa::OpenApi;

use crate::route::{ROUTES, Route};
use crate::state::AppState;
use crate::{cors, docs, proxy};

/// Returns all public routes, with their own fallback.
pub fn router(state: AppState) -> Router {
    let cors = cors::layer(&state.allowed_origins);
    let mut router = Router::new()
        .route("/api-docs/{name}", get(docs::document))
        .route("/docs", get(docs::redirect))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::asset));
    for route in ROUTES {
        router = router.route(route.path, proxied(route));
        if route.has_subpaths {
            router = router.route(&format!("{}/{{*rest}}", route.path), proxied(route));
        }
    }
    let router = router.fallback(proxy::not_found).with_state(state);
    match cors {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

/// Returns the OpenAPI document of the routes that the gateway serves itself.
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gateway",
        description = "The only public entry point; these are the routes that it serves itself."
    ),
    tags((name = "Documents", description = "OpenAPI documents of the services, and Swagger UI.")),
    paths(docs::document, docs::redirect, docs::asset)
)]
struct ApiDoc;

fn proxied(route: &'static Route) -> MethodRouter<AppState> {
    any(move |State(state): State<AppState>, request: Request| proxy::forward(state, route, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&openapi()), Vec::<String>::new());
        let mut document = serde_json::to_value(openapi()).unwrap();
        kit::openapi::for_each_operation(&mut document, |path, method, operation| {
            assert!(
                operation["description"].is_string(),
                "{method} {path} has no description"
            );
            assert!(!path.ends_with('/'), "{path}");
        });
    }
}
