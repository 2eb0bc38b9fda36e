//! The common parts of all OpenAPI documents, so that a handler describes only its own responses.

mod operations;
mod shared;

use serde_json::{Map, Value, json};

/// The methods that an OpenAPI path may have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// The name of the security scheme: `security(("bearer" = []))`, or `("bearer" = ["ADMIN"])` if a role is required.
const BEARER: &str = "bearer";

/// Completes a service's document.
///
/// - Bearer tokens, problem details and the probes of every service are described.
/// - Every operation gets the error responses of the common code: 400 with parameters or a body, 401 and 403 by its
///   `security`, 413 and 415 with a body, 503. Responses that an operation describes itself are unchanged.
/// - A [`Problem`](crate::Problem) is `application/problem+json`; a header with a known name gets its description.
///
/// With `probes` the document has `/health/ready` and `/metrics`, which the gateway serves at another address.
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
        add_error_responses(operation);
        describe_responses(operation);
        describe_parameters(operation);
    });
    document
}

/// Converts a service's document to that of the service behind the gateway, under `prefix`.
///
/// The common routes of every service are removed, and the error responses of the gateway are added.
pub fn behind_gateway(document: &mut Value, prefix: &str) {
    document["servers"] = json!([{"url": prefix, "description": "The gateway"}]);
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|_, item| item["get"]["tags"][0] != operations::TAG);
    }
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.retain(|tag| tag["name"] != operations::TAG);
    }
    for (status, detail) in shared::GATEWAY_ERRORS {
        document["components"]["responses"][status] = shared::error_response(status, detail);
    }
    for_each_operation(document, |_, _, operation| {
        for (status, _) in shared::GATEWAY_ERRORS {
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

/// Removes null defaults: they describe an absent field, and are not a value that a client can send.
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

/// Sets an empty security requirement on public operations.
fn secure(operation: &mut Value) {
    let requirements = operation["security"].as_array().cloned().unwrap_or_default();
    let bearer: Vec<Value> = requirements
        .into_iter()
        .filter(|requirement| requirement.get(BEARER).is_some())
        .collect();
    operation["security"] = bearer.into();
}

/// Adds the error responses of the common code.
fn add_error_responses(operation: &mut Value) {
    let secured = operation["security"].get(0).cloned();
    let role = secured.as_ref().is_some_and(|one| one[BEARER][0].is_string());
    let body = operation.get("requestBody").is_some();
    let parameters = operation["parameters"].as_array().is_some_and(|all| !all.is_empty());
    let probe = operation["tags"][0] == operations::TAG;
    let responses = &mut operation["responses"];
    for (status, applies) in [
        ("400", body || parameters),
        ("401", secured.is_some()),
        ("403", role),
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

/// Sets the media type of problems and the description of headers.
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
            .map(|(name, own)| {
                let header = shared::header(&name).unwrap_or(own);
                (name, header)
            })
            .collect();
        let additional = match (status.as_str(), response.get("$ref")) {
            ("401", None) => Some("WWW-Authenticate"),
            ("429" | "503", None) if is_problem(response) => Some("Retry-After"),
            _ => None,
        };
        if let Some(name) = additional {
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

/// Returns whether a response is a problem; the 503 of a probe is not.
fn is_problem(response: &Value) -> bool {
    response["content"].get(shared::PROBLEM_TYPE).is_some()
}

/// Adds an example to ids without one, and the description of known headers.
fn describe_parameters(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["schema"]["format"] == "uuid" && parameter.get("example").is_none() {
            parameter["example"] = shared::EXAMPLE_ID.into();
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
        (status = 201, description = "Created", headers(("Location"))),
        (status = 409, description = "It exists", body = Problem),
    ))]
    #[expect(dead_code, reason = "only its description matters here")]
    fn create() {}

    #[utoipa::path(get, path = "/open", operation_id = "open", responses((status = 200, description = "OK")))]
    #[expect(dead_code, reason = "only its description matters here")]
    fn open() {}

    #[derive(OpenApi)]
    #[openapi(paths(create, open))]
    struct Document;

    #[test]
    fn an_operation_has_its_own_responses_and_those_of_the_common_code() {
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
    fn a_public_operation_has_an_empty_security_requirement() {
        let document = complete(&Document::openapi(), true);
        let open = &document["paths"]["/open"]["get"];
        assert_eq!(open["security"], json!([]));
        assert!(open["responses"].get("401").is_none());
        assert!(document["paths"].get("/metrics").is_some());
        let mut public = document.clone();
        behind_gateway(&mut public, "/api");
        assert!(public["paths"].get("/metrics").is_none());
        assert!(public["paths"]["/open"]["get"]["responses"].get("429").is_some());
        assert!(complete(&Document::openapi(), false)["paths"].get("/metrics").is_none());
    }
}
