//! The AWS protocols: an HTTP request becomes a [`Call`], and the answer a response in the same protocol.

mod cbor;
mod identify;
mod query;
mod render;
mod rest;
mod xml;

use axum::body::{Body, to_bytes};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value};

use crate::{AwsError, Call, Context};

pub use identify::Protocol;
use identify::Target;
pub use identify::scope;
pub use xml::escaped;

/// The largest request that an API call may be; images go another way.
const LARGEST: usize = 16 << 20;

/// Answers one API request. Never fails: what goes wrong is said in the caller's protocol.
pub async fn answer(cx: &Context, request: Request<Body>) -> Response<Body> {
    let id = uuid::Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, LARGEST).await {
        Ok(body) => body,
        Err(_) => {
            let words = format!("The request is larger than {LARGEST} bytes, or broke off.");
            let error = AwsError::new("RequestEntityTooLarge", words).with_status(413);
            return render::error(&Protocol::guess(&parts), "", &id, &error);
        }
    };
    let target = match Target::of(cx, &parts, &body) {
        Ok(target) => target,
        Err(error) => return render::error(&Protocol::guess(&parts), "", &id, &error),
    };
    let (protocol, service) = (target.protocol.clone(), target.service.clone());
    let operation = target.operation.clone();
    let outcome = match input(&target, &parts, &body) {
        Ok(input) => call(cx, target, input).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(answer) => {
            tracing::debug!(aws.service = %service, aws.operation = %operation, "answered");
            render::answer(&protocol, &service, &operation, &id, &answer)
        }
        Err(error) => {
            if error.status >= 500 && error.status != StatusCode::NOT_IMPLEMENTED.as_u16() {
                tracing::error!(aws.service = %service, aws.operation = %operation, %error, "a call failed here");
            } else {
                tracing::debug!(aws.service = %service, aws.operation = %operation, code = %error.code, "refused");
            }
            render::error(&protocol, &service, &id, &error)
        }
    }
}

/// Runs the call in a task of its own, so that a client that hangs up does not leave it half done, and a panic is an
/// error of this call alone.
async fn call(cx: &Context, target: Target, input: Value) -> Result<Value, AwsError> {
    let Some(service) = cx.service(&target.service) else {
        return Err(AwsError::not_implemented(&target.service, &target.operation));
    };
    let cx = cx.clone();
    let call = Call {
        operation: target.operation,
        input,
        region: target.region,
    };
    match tokio::spawn(async move { service.call(&cx, call).await }).await {
        Ok(outcome) => outcome,
        Err(_) => Err(AwsError::internal(
            "The endpoint failed on this call; its log has the details.",
        )),
    }
}

fn input(target: &Target, parts: &http::request::Parts, body: &[u8]) -> Result<Value, AwsError> {
    match &target.protocol {
        Protocol::Query | Protocol::Ec2 => query::input(parts, body, target.protocol == Protocol::Ec2),
        Protocol::Json(_) => json(body),
        Protocol::Cbor => cbor::decode(body),
        Protocol::Rest => {
            let Value::Object(mut input) = json(body)? else {
                return Err(AwsError::new(
                    "SerializationException",
                    "The body is not a JSON object.",
                ));
            };
            input.extend(target.path_input.clone());
            Ok(Value::Object(input))
        }
    }
}

fn json(body: &[u8]) -> Result<Value, AwsError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| AwsError::new("SerializationException", "The body is not a JSON object."))
}
