//! Which service, operation and protocol a request means.

use http::request::Parts;
use http::{HeaderMap, Uri};
use serde_json::{Map, Value};

use super::{query, rest};
use crate::{AwsError, Context};

/// One of the AWS protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    Query,
    Ec2,
    /// awsJson; the content type is given back as it came (`application/x-amz-json-1.0` or `-1.1`).
    Json(String),
    Rest,
    Cbor,
}

impl Protocol {
    /// The protocol of a request that could not be understood, for the form of the error.
    pub fn guess(parts: &Parts) -> Self {
        if parts.headers.contains_key("x-amz-target") {
            Self::Json(content_type(parts).unwrap_or("application/x-amz-json-1.1").to_owned())
        } else if parts.headers.contains_key("smithy-protocol") {
            Self::Cbor
        } else if content_type(parts).is_some_and(|t| t.starts_with("application/x-www-form-urlencoded")) {
            Self::Query
        } else {
            Self::Rest
        }
    }
}

/// What a request asks for.
pub struct Target {
    pub service: String,
    pub operation: String,
    pub region: String,
    pub protocol: Protocol,
    /// What a REST path and its query string give.
    pub path_input: Map<String, Value>,
}

/// `X-Amz-Target` prefixes and the signing names that they stand for.
const TARGETS: &[(&str, &str)] = &[
    ("Logs_20140328", "logs"),
    ("AmazonSSM", "ssm"),
    ("secretsmanager", "secretsmanager"),
    ("TrentService", "kms"),
    ("AnyScaleFrontendService", "application-autoscaling"),
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
    ("Route53AutoNaming_v20170314", "servicediscovery"),
    ("GraniteServiceVersion20100801", "monitoring"),
];

/// API versions of the query services, for requests that are not signed.
const VERSIONS: &[(&str, &str)] = &[
    ("2010-05-15", "cloudformation"),
    ("2016-11-15", "ec2"),
    ("2014-10-31", "rds"),
    ("2010-05-08", "iam"),
    ("2011-06-15", "sts"),
    ("2015-12-01", "elasticloadbalancing"),
    ("2010-08-01", "monitoring"),
    ("2010-03-31", "sns"),
];

impl Target {
    pub fn of(cx: &Context, parts: &Parts, body: &[u8]) -> Result<Self, AwsError> {
        let scope = scope(&parts.headers, &parts.uri);
        let region = scope
            .as_ref()
            .map_or_else(|| cx.region().to_owned(), |(region, _)| region.clone());
        let found = |service: &str, operation: &str, protocol: Protocol| Target {
            service: service.to_owned(),
            operation: operation.to_owned(),
            region: region.clone(),
            protocol,
            path_input: Map::new(),
        };
        if let Some(target) = parts.headers.get("x-amz-target").and_then(|v| v.to_str().ok()) {
            let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
            let signed = scope.as_ref().map(|(_, service)| service.as_str());
            let service = TARGETS.iter().find(|(p, _)| *p == prefix).map(|(_, s)| *s).or(signed);
            let service = service.ok_or_else(|| unknown(&format!("the X-Amz-Target {target}")))?;
            let protocol = Protocol::Json(content_type(parts).unwrap_or("application/x-amz-json-1.1").to_owned());
            return known(cx, found(service, operation, protocol));
        }
        if parts.headers.contains_key("smithy-protocol") {
            let mut path = parts.uri.path().trim_matches('/').split('/');
            if let (Some("service"), Some(prefix), Some("operation"), Some(operation)) =
                (path.next(), path.next(), path.next(), path.next())
            {
                let service = TARGETS.iter().find(|(p, _)| *p == prefix).map(|(_, s)| *s);
                let service = service.ok_or_else(|| unknown(&format!("the service {prefix}")))?;
                return known(cx, found(service, operation, Protocol::Cbor));
            }
        }
        if let Some((action, version)) = query::action(parts, body) {
            let by_version = VERSIONS
                .iter()
                .find(|(v, _)| Some(*v) == version.as_deref())
                .map(|(_, s)| (*s).to_owned());
            let service = scope.map(|(_, service)| service).or(by_version);
            let service =
                service.ok_or_else(|| unknown(&format!("the action {action}, unsigned and without a version")))?;
            let protocol = if service == "ec2" {
                Protocol::Ec2
            } else {
                Protocol::Query
            };
            return known(cx, found(&service, &action, protocol));
        }
        let Some((_, service)) = scope else {
            return Err(unknown(&format!(
                "{} {}, which is not signed",
                parts.method,
                parts.uri.path()
            )));
        };
        let target = known(cx, found(&service, "", Protocol::Rest))?;
        let routes = cx.service(&service).map(|s| s.routes()).unwrap_or_default();
        let (operation, path_input) = rest::route(routes, parts)
            .ok_or_else(|| AwsError::not_implemented(&service, &format!("{} {}", parts.method, parts.uri.path())))?;
        Ok(Target {
            operation,
            path_input,
            ..target
        })
    }
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
        format!("The embedded endpoint cannot tell which AWS service is meant by {what}."),
    )
}

fn content_type(parts: &Parts) -> Option<&str> {
    parts.headers.get(http::header::CONTENT_TYPE)?.to_str().ok()
}

/// Region and signing name out of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, in the header or a presigned URL.
pub fn scope(headers: &HeaderMap, uri: &Uri) -> Option<(String, String)> {
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
