//! Responses in the caller's protocol.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json as object};

use super::protocol::Protocol;
use super::{cbor, json, xml};
use crate::error::AwsError;

/// Renders the output of an operation.
pub fn output(protocol: &Protocol, service: &str, operation: &str, id: &str, output: &Value) -> Response<Body> {
    if !matches!(protocol, Protocol::Query | Protocol::Ec2) {
        json::check_output(service, operation, output);
    }
    let (kind, body) = match protocol {
        Protocol::Query => ("text/xml", xml::query(service, operation, id, output).into_bytes()),
        Protocol::Ec2 => ("text/xml;charset=UTF-8", xml::ec2(operation, id, output).into_bytes()),
        Protocol::Json(kind) => (kind.as_str(), output.to_string().into_bytes()),
        Protocol::Rest => ("application/json", output.to_string().into_bytes()),
        Protocol::Cbor => ("application/cbor", cbor::encode(output)),
    };
    respond(StatusCode::OK, kind, id, body)
}

/// Renders an error in the form that the protocol's clients parse.
pub fn error(protocol: &Protocol, service: &str, id: &str, error: &AwsError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (code, message) = (&error.code, &error.message);
    // The name of the member in the error shapes of Secrets Manager's model; other services write it small.
    let member = if service == "secretsmanager" {
        "Message"
    } else {
        "message"
    };
    let (kind, body) = match protocol {
        Protocol::Query => ("text/xml", xml::query_error(service, id, error).into_bytes()),
        Protocol::Ec2 => ("text/xml;charset=UTF-8", xml::ec2_error(id, error).into_bytes()),
        Protocol::Json(kind) => (
            kind.as_str(),
            object!({"__type": code, member: message}).to_string().into_bytes(),
        ),
        Protocol::Rest => (
            "application/json",
            object!({"code": code, "message": message}).to_string().into_bytes(),
        ),
        Protocol::Cbor => (
            "application/cbor",
            cbor::encode(&object!({"__type": code, "message": message})),
        ),
    };
    let mut response = respond(status, kind, id, body);
    if let Ok(code) = HeaderValue::from_str(code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    if *protocol == Protocol::Cbor
        && service == "monitoring"
        && let Ok(legacy) = HeaderValue::from_str(&format!("{code};Sender"))
    {
        response.headers_mut().insert("x-amzn-query-error", legacy);
    }
    response
}

fn respond(status: StatusCode, kind: &str, id: &str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        if kind == "application/cbor" {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
