//! What the OpenAPI documents of all services share, so that each handler tells only what is its own.

mod operations;
mod shared;

use serde_json::{Map, Value, json};

/// The methods that an OpenAPI path may have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// The name of the security scheme: `security(("bearer" = []))`, or `("bearer" = ["ADMIN"])` where the role matters.
const BEARER: &str = "bearer";

/// Completes a service's document.
///
/// - Bearer tokens, problem details and the probes of every service are described.
/// - Every operation tells the refusals that the shared code makes: 400 with parameters or a body, 401 and 403 by its
///   `security`, 413 and 415 with a body, 503. What an operation tells by itself stays as it is.
/// - A [`Problem`](crate::Problem) is `application/problem+json`; a header with a known name is described in one way.
///
/// With `probes` the document has `/health/ready` and `/metrics`, which the gateway shows elsewhere.
pub fn complete(document: &utoipa::openapi::OpenApi, probes: bool) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    document["info"]["contact"] = json!({"name": "The maintainers of the platform"});
    document["servers"] = json!([{"url": "/", "description": "This service itself"}]);
    drop_null_defaults(&mut document["components"]["schemas"]);
    operations::add(&mut document, probes);
    shared::add_components(&mut document);
    for_each_operation(&mut document, |_, _, operation| {
        secure(operation);
        refuse(operation);
        describe_responses(operation);
        describe_parameters(operation);
    });
    document
}

/// Makes a service's document that of the service as the gateway shows it under `prefix`.
///
/// The routes that every service has are left out, and what the gateway refuses by itself is added.
pub fn behind_gateway(document: &mut Value, prefix: &str) {
    document["servers"] = json!([{"url": prefix, "description": "The gateway"}]);
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|_, item| item["get"]["tags"][0] != operations::TAG);
    }
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.retain(|tag| tag["name"] != operations::TAG);
    }
    for (status, detail) in shared::GATEWAY_REFUSALS {
        document["components"]["responses"][status] = shared::refusal(status, detail);
    }
    for_each_operation(document, |_, _, operation| {
        for (status, _) in shared::GATEWAY_REFUSALS {
            if operation["responses"].get(status).is_none() {
                operation["responses"][status] = shared::reference(status);
            }
        }
    });
}

/// Visits each operation of a document: its path, its method in lower case, and its object.
pub fn for_each_operation(document: &mut Value, mut visit: impl FnMut(&str, &str, &mut Value)) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method) {
                visit(path, method, operation);
            }
        }
    }
}

/// Drops the default that a field has when nobody sends it, which is no value that a client could send.
fn drop_null_defaults(schemas: &mut Value) {
    match schemas {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "default" || !value.is_null());
            fields.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(all) => all.iter_mut().for_each(drop_null_defaults),
        _ => {}
    }
}

/// Says explicitly that an operation is for anyone where nothing else is said.
fn secure(operation: &mut Value) {
    let said = operation["security"].as_array().cloned().unwrap_or_default();
    let kept: Vec<Value> = said.into_iter().filter(|one| one.get(BEARER).is_some()).collect();
    operation["security"] = kept.into();
}

/// Adds the refusals that come from the shared code.
fn refuse(operation: &mut Value) {
    let secured = operation["security"].get(0).cloned();
    let admin = secured.as_ref().is_some_and(|one| one[BEARER][0] == "ADMIN");
    let body = operation.get("requestBody").is_some();
    let parameters = operation["parameters"].as_array().is_some_and(|all| !all.is_empty());
    let probe = operation["tags"][0] == operations::TAG;
    let responses = &mut operation["responses"];
    for (status, applies) in [
        ("400", body || parameters),
        ("401", secured.is_some()),
        ("403", admin),
        ("413", body),
        ("415", body),
        ("503", !probe),
    ] {
        if applies && responses.get(status).is_none() {
            responses[status] = shared::reference(status);
        }
    }
    if body {
        operation["requestBody"]["required"] = true.into();
    }
}

/// Gives problems their media type, and headers their description.
fn describe_responses(operation: &mut Value) {
    let responses = operation["responses"].as_object_mut().into_iter().flatten();
    for (status, response) in responses {
        if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && content
                .get("application/json")
                .is_some_and(|media| media["schema"]["$ref"] == shared::PROBLEM)
        {
            let detail = response["description"].as_str().unwrap_or_default().to_owned();
            response["content"] = shared::problem(status, &detail);
        }
        let named: Map<String, Value> = response["headers"].as_object().cloned().unwrap_or_default();
        let mut headers: Map<String, Value> = named
            .into_iter()
            .map(|(name, told)| {
                let known = shared::header(&name).unwrap_or(told);
                (name, known)
            })
            .collect();
        let also = match (status.as_str(), response.get("$ref")) {
            ("401", None) => Some("WWW-Authenticate"),
            ("429" | "503", None) if operation_is_ours(response) => Some("Retry-After"),
            _ => None,
        };
        if let Some(name) = also {
            headers.extend(shared::header(name).map(|header| (name.to_owned(), header)));
        }
        if let Some(response) = response.as_object_mut() {
            response.remove("headers");
            if !headers.is_empty() {
                response.insert("headers".into(), headers.into());
            }
        }
    }
}

/// A problem, and not a probe's own 503.
fn operation_is_ours(response: &Value) -> bool {
    response["content"].get(shared::PROBLEM_TYPE).is_some()
}

/// An id without an example gets one, so that every request can be tried.
fn describe_parameters(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["schema"]["format"] == "uuid" && parameter.get("example").is_none() {
            parameter["example"] = shared::AN_ID.into();
        }
        let known = parameter["name"].as_str().and_then(shared::request_header);
        if let Some((description, schema)) = known
            && parameter["in"] == "header"
        {
            parameter["description"] = description.into();
            parameter["schema"] = schema;
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::{OpenApi, ToSchema};

    use super::*;
    use crate::Problem;

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its schema matters here")]
    struct Body {
        name: String,
    }

    #[utoipa::path(post, path = "/things", operation_id = "createThing", request_body = Body,
        security(("bearer" = ["ADMIN"])), responses(
        (status = 201, description = "Made", headers(("Location"))),
        (status = 409, description = "There is one", body = Problem),
    ))]
    #[expect(dead_code, reason = "only its description matters here")]
    fn create() {}

    #[utoipa::path(get, path = "/open", operation_id = "open", responses((status = 200, description = "Yes")))]
    #[expect(dead_code, reason = "only its description matters here")]
    fn open() {}

    #[derive(OpenApi)]
    #[openapi(paths(create, open))]
    struct Document;

    #[test]
    fn an_operation_tells_its_own_answers_and_those_of_the_shared_code() {
        let document = complete(&Document::openapi(), true);
        let create = &document["paths"]["/things"]["post"];
        let mut statuses: Vec<&String> = create["responses"].as_object().expect("responses").keys().collect();
        statuses.sort();
        assert_eq!(statuses, ["201", "400", "401", "403", "409", "413", "415", "503"]);
        assert_eq!(
            create["responses"]["201"]["headers"]["Location"]["required"], true,
            "{create:#}"
        );
        let conflict = &create["responses"]["409"]["content"];
        assert_eq!(conflict[shared::PROBLEM_TYPE]["example"]["status"], 409);
        assert_eq!(conflict.as_object().expect("an object").len(), 1);
    }

    #[test]
    fn an_operation_without_security_says_so() {
        let document = complete(&Document::openapi(), true);
        let open = &document["paths"]["/open"]["get"];
        assert_eq!(open["security"], json!([]));
        assert!(open["responses"].get("401").is_none());
        assert!(document["paths"].get("/metrics").is_some());
        let mut shown = document.clone();
        behind_gateway(&mut shown, "/api");
        assert!(shown["paths"].get("/metrics").is_none());
        assert!(shown["paths"]["/open"]["get"]["responses"].get("429").is_some());
        assert!(complete(&Document::openapi(), false)["paths"].get("/metrics").is_none());
    }
}
