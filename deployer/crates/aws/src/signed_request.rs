//! Signed requests to services whose SDK is not linked: a few operations each. The SDK of RDS alone adds a minute to every clean
//! build, and that of EC2 five, and that of S3 needs features that would compile all the others again.

mod operation;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use reqwest::Method;
use serde_json::Value;

use crate::Clock;
use crate::credentials::RefreshingCredentials;
use crate::error::{Error, Result};
use crate::http::{self, RequestOptions};
use crate::retry::RetryPolicy;
use crate::{region, xml};

pub use operation::*;

const FORM: &str = "application/x-www-form-urlencoded";
/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Sends them with the identity and the retry policy of the SDK's clients.
#[derive(Clone)]
pub struct SignedClient(Arc<Inner>);

struct Inner {
    credentials: RefreshingCredentials,
    region: String,
    clock: Clock,
    retry: RetryPolicy,
    /// The URL of CloudFormation's endpoint. A service's own URL differs in that word, or not at all.
    base: String,
}

/// A request before it is signed.
pub(crate) struct SignedRequest {
    pub service: &'static str,
    pub operation: &'static str,
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl SignedRequest {
    fn name(&self) -> String {
        format!("{} {}", self.service, self.operation)
    }
}

impl SignedClient {
    pub(crate) fn new(
        credentials: RefreshingCredentials,
        region: String,
        clock: Clock,
        retry: RetryPolicy,
        base: String,
    ) -> Self {
        Self(Arc::new(Inner {
            credentials,
            region,
            clock,
            retry,
            base,
        }))
    }

    pub(crate) fn region(&self) -> &str {
        &self.0.region
    }

    /// Calls an operation. In a response in XML every value is a text, and a repeated element an array.
    ///
    /// # Errors
    /// The service answers with an error, or with something else than the operation's result.
    pub async fn call(&self, operation: Operation, input: &Value) -> Result<Value> {
        let Operation {
            service,
            name,
            protocol,
        } = operation;
        let (content_type, target, body) = match protocol {
            Protocol::Rest(_) => ("", None, String::new()),
            Protocol::Query(version) => (FORM, None, form(name, version, input, ".member.")),
            Protocol::Ec2(version) => (FORM, None, form(name, version, input, ".")),
            Protocol::Json(prefix) => (
                "application/x-amz-json-1.1",
                Some(format!("{prefix}.{name}")),
                input.to_string(),
            ),
        };
        let mut headers = vec![("content-type", content_type.to_owned())];
        headers.extend(target.map(|target| ("x-amz-target", target)));
        let (method, path) = match protocol {
            Protocol::Rest(path) => {
                headers.clear();
                (
                    Method::GET,
                    format!("{path}{}", input["Id"].as_str().unwrap_or_default()),
                )
            }
            _ => (Method::POST, String::new()),
        };
        let request = SignedRequest {
            service,
            operation: name,
            method,
            url: self.url(service) + &path,
            headers,
            body,
        };
        let text = self.send(&request).await?;
        let result = match protocol {
            Protocol::Query(_) => xml::parse(&text).get(format!("{name}Result")).cloned(),
            Protocol::Ec2(_) | Protocol::Rest(_) => Some(xml::parse(&text)).filter(Value::is_object),
            Protocol::Json(_) => serde_json::from_str(&text).ok(),
        };
        result.ok_or_else(|| Error::from_response(request.name(), 200, "", Some(text.as_bytes())))
    }

    /// Returns the URL of a service, with a slash at its end.
    fn url(&self, service: &str) -> String {
        let base = &self.0.base;
        if let Some((host, _)) = region::global(service, self.region())
            && base.contains("//cloudformation.")
        {
            return format!("https://{host}/");
        }
        base.replacen("//cloudformation.", &format!("//{service}."), 1) + "/"
    }

    /// Sends a request by the retry policy and returns the body of the response. A request that is rejected for its expired
    /// credentials is signed again, once.
    pub(crate) async fn send(&self, request: &SignedRequest) -> Result<String> {
        let Inner {
            credentials,
            clock,
            retry,
            ..
        } = &*self.0;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let result = self.attempt(request).await;
            match result {
                Err(Error::Expired { .. }) if attempts == 1 => credentials.mark_expired(),
                Err(error) => match retry.backoff(attempts, &error) {
                    Some(pause) => clock.sleep(pause).await,
                    None => return Err(error),
                },
                Ok(body) => {
                    retry.responded();
                    return Ok(body);
                }
            }
        }
    }

    async fn attempt(&self, request: &SignedRequest) -> Result<String> {
        let Inner { clock, .. } = &*self.0;
        let signature = self.sign(request).await?;
        let unreachable = |reason: String| Error::NoResponse {
            operation: request.name(),
            reason,
        };
        let client = http::client(&request.url, clock.stretched(TIMEOUT), &RequestOptions::default())
            .map_err(|error| unreachable(error.to_string()))?;
        let mut sent = client
            .request(request.method.clone(), &request.url)
            .body(request.body.clone());
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signature = signature.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in headers.chain(signature) {
            sent = sent.header(name, value);
        }
        let failed = |error| unreachable(http::HttpError::from(error).to_string());
        let response = sent.send().await.map_err(failed)?;
        let status = response.status();
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE).cloned();
        let body = response.text().await.map_err(failed)?;
        if status.is_success() {
            return Ok(body);
        }
        let (code, message) = xml::service_error(&body);
        if code.is_empty() {
            let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
            let content_type = content_type.unwrap_or_default();
            let (status, body) = (status.as_u16(), Some(body.as_bytes()));
            return Err(Error::from_response(request.name(), status, content_type, body));
        }
        let message = if message.is_empty() { code.clone() } else { message };
        Err(Error::from_code(request.name(), status.as_u16(), &code, message))
    }

    /// Returns the headers that sign a request.
    async fn sign(&self, request: &SignedRequest) -> Result<Vec<(String, String)>> {
        let Inner {
            credentials, region, ..
        } = &*self.0;
        let identity = credentials.current(&request.name()).await?.into();
        let unsigned = |reason: String| Error::InvalidRequest {
            operation: request.name(),
            reason,
        };
        let mut settings = SigningSettings::default();
        if request.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region::global(request.service, region).map_or(region.as_str(), |(_, region)| region))
            .name(request.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| unsigned(error.to_string()))?
            .into();
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let body = SignableBody::Bytes(request.body.as_bytes());
        let signable = SignableRequest::new(request.method.as_str(), &request.url, headers, body)
            .map_err(|error| unsigned(error.to_string()))?;
        let signed = sign(signable, &parameters).map_err(|error| unsigned(error.to_string()))?;
        let headers = signed.output().headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// Returns the form of a request; `item` is between the name of a list and the number of its item.
fn form(operation: &str, version: &str, input: &Value, item: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation).append_pair("Version", version);
    let mut pairs = Vec::new();
    for (name, value) in input.as_object().into_iter().flatten() {
        flatten(name, value, item, &mut pairs);
    }
    form.extend_pairs(pairs).finish()
}

fn flatten(name: &str, value: &Value, item: &str, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Array(all) => {
            for (index, value) in all.iter().enumerate() {
                flatten(&format!("{name}{item}{}", index + 1), value, item, pairs);
            }
        }
        Value::Object(all) => {
            for (member, value) in all {
                flatten(&format!("{name}.{member}"), value, item, pairs);
            }
        }
        Value::String(text) => pairs.push((name.to_owned(), text.clone())),
        Value::Null => {}
        other => pairs.push((name.to_owned(), other.to_string())),
    }
}

/// Returns the items of a list in a result of the query protocol, where a single item is not an array.
pub fn items<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    xml::items(list, name)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::testing::FakeAws;

    #[test]
    fn a_list_of_ec2_is_flat_and_one_of_the_query_protocol_has_members() {
        let input = json!({ "Filter": [{ "Name": "vpc-id", "Value": ["vpc-1", "vpc-2"] }] });
        insta::assert_snapshot!(form("DescribeSubnets", "2016-11-15", &input, "."), @"Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.2=vpc-2");
        let input = json!({ "Names": ["a"] });
        insta::assert_snapshot!(form("List", "1", &input, ".member."), @"Action=List&Version=1&Names.member.1=a");
    }

    #[tokio::test]
    async fn a_call_is_signed_and_retried_when_throttled_and_a_denied_one_is_an_error_of_its_kind() {
        let calls = AtomicUsize::new(0);
        let endpoint = FakeAws::start(move |call| {
            assert_eq!((call.access_key.as_str(), call.operation.is_empty()), ("test", false));
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            let (status, body) = match call.operation.as_str() {
                "DescribeKey" if first => (400, json!({"__type": "ThrottlingException", "message": "slower"})),
                "DescribeKey" => (200, json!({"KeyMetadata": {"KeyState": "Enabled"}})),
                _ => (
                    400,
                    json!({"__type": "com.amazonaws#AccessDeniedException", "Message": "no"}),
                ),
            };
            Some((status, body.to_string()))
        })
        .await;
        let aws = endpoint.session().await;
        let key = aws
            .signed
            .call(DESCRIBE_KEY, &json!({"KeyId": "k"}))
            .await
            .expect("a result");
        assert_eq!(key["KeyMetadata"]["KeyState"], "Enabled");
        let denied = aws.signed.call(LIST_SECRETS, &json!({})).await.expect_err("an error");
        assert!(
            matches!(&denied, Error::Denied { operation, .. } if operation == "secretsmanager ListSecrets"),
            "{denied:?}"
        );
    }
}
