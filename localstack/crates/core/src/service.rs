//! The trait of an AWS service and the calls that it serves.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::context::Context;
use crate::error::AwsError;
use crate::resource::ResourceType;

/// One API call, independent of the protocol: the operation and its input, with the member names of the API reference.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `DescribeStacks`.
    pub operation: String,
    /// A JSON object with the API's own member names. The query protocols deliver all scalars as strings (`"true"`, `"7"`)
    /// and lists as arrays; blobs are base64 text.
    pub input: Value,
    /// The region of the request's signature.
    pub region: String,
}

impl Call {
    /// Returns a string member; numbers and booleans are converted to text.
    pub fn text(&self, member: &str) -> Option<String> {
        crate::records::scalar(self.input.get(member)?)
    }

    /// Returns a required string member.
    ///
    /// # Errors
    /// `ValidationError` if it is missing.
    pub fn required(&self, member: &str) -> Result<String, AwsError> {
        self.text(member)
            .ok_or_else(|| AwsError::validation(format!("The parameter {member} is required.")))
    }

    /// Returns an integer member, which the query protocols deliver as text.
    pub fn integer(&self, member: &str) -> Option<i64> {
        self.text(member)?.parse().ok()
    }

    /// Returns the size of a page: an integer member within `range`, `default` where it is missing.
    pub fn limit(&self, member: &str, default: u16, range: RangeInclusive<u16>) -> usize {
        let limit = self.integer(member).unwrap_or(default.into());
        let limit = limit.clamp((*range.start()).into(), (*range.end()).into());
        usize::try_from(limit).unwrap_or_default()
    }

    /// Returns a boolean member, which the query protocols deliver as text.
    pub fn boolean(&self, member: &str) -> Option<bool> {
        self.text(member)?.parse().ok()
    }

    /// Returns a list member, empty if it is missing.
    pub fn list(&self, member: &str) -> Vec<Value> {
        let list = self.input.get(member).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    }

    /// Returns the strings of a list member, empty if it is missing.
    pub fn texts(&self, member: &str) -> Vec<String> {
        let list = self.input.get(member).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }
}

/// One AWS service.
#[async_trait]
pub trait Service: Send + Sync {
    /// Returns the signing name, such as `ec2`, `elasticloadbalancing`, `kafka` or `monitoring`.
    fn name(&self) -> &'static str;

    /// Returns true for a service without regions ("Global services" of the AWS General Reference) and for one whose names are unique in
    /// the whole account: the first region serves it to all, and has the documents whose collections begin with its name.
    fn is_global(&self) -> bool {
        false
    }

    /// Returns the resource types of this service that templates may use.
    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        Vec::new()
    }

    /// Serves one call. The response is a JSON object with the API's own member names; [`crate::wire`] renders it in the
    /// protocol of the service (arrays become `<member>` or `<item>` elements in XML).
    ///
    /// # Errors
    /// The error that the API reference of the operation names.
    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError>;

    /// Resumes the service when the endpoint starts, once: adopts the processes that the state lists as running and restarts
    /// those that have ended.
    ///
    /// # Errors
    /// When the state is unreadable.
    async fn start(&self, _cx: &Context) -> anyhow::Result<()> {
        Ok(())
    }

    /// Stops the service's processes when the endpoint stops, once, in the reverse order of the starts. The state is kept.
    async fn stop(&self, _cx: &Context) {}
}
