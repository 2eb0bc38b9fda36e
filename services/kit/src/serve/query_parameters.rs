//! Unknown query parameters: 400, because a misspelled filter that is ignored returns everything.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Method;
use url::form_urlencoded;
use utoipa::openapi::OpenApi;

use crate::{openapi::for_each_operation, problem::Problem};

/// Longest name of an unknown parameter that a response repeats.
const MAX_NAME: usize = 40;

/// The documented query parameters of each route: its path, its method in lower case, and the names.
pub(super) type Known = Arc<HashMap<String, HashMap<String, Vec<String>>>>;

/// Returns the query parameters of a service's document.
pub(super) fn documented(document: &OpenApi) -> Known {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let mut known: HashMap<String, HashMap<String, Vec<String>>> = HashMap::new();
    for_each_operation(&mut document, |path, method, operation| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names = parameters
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned()))
            .collect();
        known
            .entry(path.to_owned())
            .or_default()
            .insert(method.to_owned(), names);
    });
    Arc::new(known)
}

/// Rejects a request to a documented route that has a parameter without a description.
pub(super) async fn reject_unknown(State(known): State<Known>, request: Request, next: Next) -> Response {
    match unknown(&known, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn unknown(known: &Known, request: &Request) -> Option<Problem> {
    let query = request.uri().query()?;
    let methods = known.get(request.extensions().get::<MatchedPath>()?.as_str())?;
    let method = match *request.method() {
        // It is answered by the handler of GET.
        Method::HEAD => "get".to_owned(),
        _ => request.method().as_str().to_ascii_lowercase(),
    };
    let known = methods.get(&method)?;
    let (name, _) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !known.iter().any(|it| it == name))?;
    let message = if known.is_empty() {
        "Unknown parameter; there are no query parameters here".to_owned()
    } else {
        format!("Unknown parameter; known are: {}", known.join(", "))
    };
    // Anything else may be a value, such as a person's name, and is not repeated.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    Some(
        if name.len() <= MAX_NAME && name.bytes().all(is_name) && !name.is_empty() {
            Problem::field(name, message)
        } else {
            Problem::bad_request(message)
        },
    )
}
