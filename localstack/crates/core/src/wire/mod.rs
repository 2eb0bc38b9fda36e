//! The AWS protocols: an HTTP request becomes a [`Call`], and its result an HTTP response in the same protocol.

mod casing;
mod cbor;
mod constraints;
mod json;
pub mod model;
mod protocol;
mod query;
mod render;
mod rest;
mod strict;
mod target;
pub mod unsupported;
mod xml;

use axum::body::{Body, to_bytes};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::AwsError;
use crate::service::Call;

pub use casing::lower_first;
pub use protocol::Protocol;
pub use strict::panic_at_unknown_members;
use target::Target;
pub use target::credential_scope;
pub use xml::escape;

/// Maximum size of an API request, in bytes; layers of images do not come this way.
const MAX_REQUEST: usize = 16 << 20;

/// Checks an output against the model of its operation, after [`panic_at_unknown_members`]; does nothing before.
///
/// # Panics
/// If the service has a model that lacks the operation, or the output differs from the model.
pub fn check_output(service: &str, operation: &str, output: &Value) {
    match model::Model::of(service) {
        Some(_) if !strict::is_on() => {}
        Some(model) if model.namespace.is_empty() => json::check_output(service, operation, output),
        Some(_) => xml::check_output(service, operation, output),
        None => {}
    }
}

/// Handles one API request. Errors become responses in the caller's protocol.
pub async fn handle(cx: &Context, request: Request<Body>) -> Response<Body> {
    let id = uuid::Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_REQUEST).await else {
        let message = format!("The request is larger than {MAX_REQUEST} bytes, or the connection was closed.");
        let error = AwsError::new("RequestEntityTooLarge", message).with_status(413);
        return render::error(&Protocol::guess(&parts), "", &id, &error);
    };
    let target = match Target::of(cx, &parts, &body) {
        Ok(target) => target,
        Err(error) => return render::error(&Protocol::guess(&parts), "", &id, &error),
    };
    let (protocol, service) = (target.protocol.clone(), target.service.clone());
    let operation = target.operation.clone();
    let result = match input(&target, &parts, &body) {
        Ok(input) => call(cx, target, input).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(output) => {
            tracing::debug!(aws.service = %service, aws.operation = %operation, "served a call");
            render::output(&protocol, &service, &operation, &id, &output)
        }
        Err(error) => {
            if error.status >= 500 && error.status != StatusCode::NOT_IMPLEMENTED.as_u16() {
                tracing::error!(aws.service = %service, aws.operation = %operation, %error, "a call failed");
            } else {
                tracing::debug!(aws.service = %service, aws.operation = %operation, code = %error.code, "rejected a call");
            }
            render::error(&protocol, &service, &id, &error)
        }
    }
}

/// Runs the call in its own task, so that a client that disconnects does not leave it half done, and a panic fails this call
/// only.
async fn call(cx: &Context, target: Target, input: Value) -> Result<Value, AwsError> {
    let Some(service) = cx.service(&target.service) else {
        return Err(AwsError::not_implemented(&target.service, &target.operation));
    };
    let cx = cx.for_request(&target.service, &target.region).await?;
    let call = Call {
        operation: target.operation,
        input,
        region: target.region,
    };
    let result = tokio::spawn(async move { service.call(&cx, call).await }).await;
    result.unwrap_or_else(|_| {
        let message = "The endpoint failed to serve this call; its log has the details.";
        Err(AwsError::internal(message))
    })
}

fn input(target: &Target, parts: &http::request::Parts, body: &[u8]) -> Result<Value, AwsError> {
    let (service, operation) = (&target.service, &target.operation);
    let members = match &target.protocol {
        Protocol::Query | Protocol::Ec2 => {
            let input = query::input(service, operation, parts, body)?;
            unsupported::check(service, operation, &input)?;
            return Ok(input);
        }
        Protocol::Json(_) => object(body)?,
        Protocol::Cbor => match cbor::decode(body)? {
            Value::Object(members) => members,
            _ => return Err(AwsError::new("SerializationException", "The body is not a map.")),
        },
        Protocol::Rest => {
            let mut members = object(body)?;
            members.extend(target.path_input.clone());
            members
        }
    };
    let input = json::input(service, operation, members)?;
    unsupported::check(service, operation, &input)?;
    Ok(input)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, AwsError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| AwsError::new("SerializationException", "The body is not a JSON object."))
}
