//! The service, operation and protocol that a request is for.

use http::request::Parts;
use http::{HeaderMap, Uri};
use serde_json::{Map, Value};

use super::protocol::Protocol;
use super::{model, query, rest};
use crate::context::Context;
use crate::error::AwsError;

/// The destination of a request.
pub struct Target {
    pub service: String,
    pub operation: String,
    pub region: String,
    pub protocol: Protocol,
    /// The input members in a REST path and its query string.
    pub path_input: Map<String, Value>,
}

/// `X-Amz-Target` prefixes and their signing names.
const TARGETS: &[(&str, &str)] = &[
    ("Logs_20140328", "logs"),
    ("AmazonSSM", "ssm"),
    ("secretsmanager", "secretsmanager"),
    ("ServiceQuotasV20190624", "servicequotas"),
    ("TrentService", "kms"),
    ("AnyScaleFrontendService", "application-autoscaling"),
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
    ("Route53AutoNaming_v20170314", "servicediscovery"),
    ("GraniteServiceVersion20100801", "monitoring"),
];

impl Target {
    /// Determines the target of a request.
    ///
    /// # Errors
    /// `UnknownOperationException` if the request names no service, `NotImplemented` for an unknown service or route.
    pub fn of(cx: &Context, parts: &Parts, body: &[u8]) -> Result<Self, AwsError> {
        let scope = credential_scope(&parts.headers, &parts.uri);
        let region = scope
            .as_ref()
            .map_or_else(|| cx.config().region.clone(), |(region, _)| region.clone());
        let found = |service: &str, operation: &str, protocol: Protocol| Target {
            service: service.to_owned(),
            operation: operation.to_owned(),
            region: region.clone(),
            protocol,
            path_input: Map::new(),
        };
        if let Some(target) = parts.headers.get("x-amz-target").and_then(|v| v.to_str().ok()) {
            let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
            let signing_name = scope.as_ref().map(|(_, service)| service.as_str());
            let service = service_of_prefix(prefix).or(signing_name);
            let service = service.ok_or_else(|| unknown(&format!("X-Amz-Target {target}")))?;
            let protocol = Protocol::json(parts);
            return known(cx, found(service, operation, protocol));
        }
        if parts.headers.contains_key("smithy-protocol") {
            let mut path = parts.uri.path().trim_matches('/').split('/');
            if let (Some("service"), Some(prefix), Some("operation"), Some(operation)) =
                (path.next(), path.next(), path.next(), path.next())
            {
                let service = service_of_prefix(prefix).ok_or_else(|| unknown(&format!("service {prefix}")))?;
                return known(cx, found(service, operation, Protocol::Cbor));
            }
        }
        if let Some((action, version)) = query::action(parts, body) {
            let by_version = version.as_deref().and_then(model::service_of_version);
            let service = scope.map(|(_, service)| service).or(by_version.map(str::to_owned));
            let service =
                service.ok_or_else(|| unknown(&format!("action {action} without a signature and a Version")))?;
            let protocol = if service == "ec2" {
                Protocol::Ec2
            } else {
                Protocol::Query
            };
            return known(cx, found(&service, &action, protocol));
        }
        let Some((_, service)) = scope else {
            return Err(unknown(&format!(
                "{} {} without a signature",
                parts.method,
                parts.uri.path()
            )));
        };
        let target = known(cx, found(&service, "", Protocol::Rest))?;
        let (operation, path_input) = rest::route(&service, parts)
            .ok_or_else(|| AwsError::not_implemented(&service, &format!("{} {}", parts.method, parts.uri.path())))?;
        Ok(Target {
            operation,
            path_input,
            ..target
        })
    }
}

fn service_of_prefix(prefix: &str) -> Option<&'static str> {
    let found = TARGETS.iter().find(|(known, _)| *known == prefix);
    found.map(|(_, service)| *service)
}

fn known(cx: &Context, target: Target) -> Result<Target, AwsError> {
    match cx.service(&target.service) {
        Some(_) => Ok(target),
        None => Err(AwsError::not_implemented(&target.service, &target.operation)),
    }
}

fn unknown(what: &str) -> AwsError {
    AwsError::new(
        "UnknownOperationException",
        format!("The embedded endpoint cannot determine the AWS service of this request: {what}."),
    )
}

/// Returns the region and the signing name in `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, from the Authorization header
/// or a presigned URL.
pub fn credential_scope(headers: &HeaderMap, uri: &Uri) -> Option<(String, String)> {
    let header = headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let credential = match header.and_then(|h| h.split_once("Credential=")) {
        Some((_, rest)) => rest.split([',', ' ']).next()?.to_owned(),
        None => form_urlencoded::parse(uri.query()?.as_bytes())
            .find(|(name, _)| name == "X-Amz-Credential")
            .map(|(_, value)| value.into_owned())?,
    };
    let mut scope = credential.rsplit('/').skip(1);
    let (service, region) = (scope.next()?, scope.next()?);
    Some((region.to_owned(), service.to_owned()))
}
