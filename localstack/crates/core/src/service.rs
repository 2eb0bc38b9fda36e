//! The trait of an AWS service and the calls it answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{AwsError, Context, ResourceType};

/// One operation of a REST service: `{name}` in the path is a member of the input, under the wire's name for it
/// (Amazon MSK's are lowerCamel, such as `clusterArn`). The query string's members are added as text, the body's as
/// they are; the answer is sent as the service gives it, so its names are the wire's, too.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub operation: &'static str,
}

/// One API call, whatever the protocol: the operation's name and its input as the API reference names the members.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `DescribeStacks`.
    pub operation: String,
    /// A JSON object with the API's own member names. From the query protocols all scalars arrive as strings
    /// (`"true"`, `"7"`), lists as arrays; blobs are base64 text.
    pub input: Value,
    pub region: String,
}

impl Call {
    /// A string member; numbers and booleans are given as their text.
    pub fn text(&self, member: &str) -> Option<String> {
        match self.input.get(member)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    /// A string member that must be there.
    pub fn required(&self, member: &str) -> Result<String, AwsError> {
        self.text(member)
            .ok_or_else(|| AwsError::validation(format!("The parameter {member} is required.")))
    }

    pub fn integer(&self, member: &str) -> Option<i64> {
        self.text(member)?.parse().ok()
    }

    pub fn boolean(&self, member: &str) -> Option<bool> {
        self.text(member)?.parse().ok()
    }

    /// A list member; absent is empty.
    pub fn list(&self, member: &str) -> Vec<Value> {
        self.input
            .get(member)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    }

    /// A list of strings; absent is empty.
    pub fn texts(&self, member: &str) -> Vec<String> {
        self.list(member)
            .into_iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    }
}

/// One AWS service.
#[async_trait]
pub trait Service: Send + Sync {
    /// The signing name, such as `ec2`, `elasticloadbalancing`, `kafka`, `monitoring`.
    fn name(&self) -> &'static str;

    /// The resource types of this service that templates may use.
    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        Vec::new()
    }

    /// The operations of a REST service, most specific first; the other protocols name the operation themselves.
    fn routes(&self) -> &'static [Route] {
        &[]
    }

    /// Answers one call. The answer is a JSON object with the API's own member names; the wire room renders it in the
    /// service's protocol (arrays become `<member>` or `<item>` where that is XML).
    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError>;

    /// Called once when the endpoint starts, in the order of the list in `service::all`: takes up again what the state
    /// says is running (adopts living processes, starts dead ones anew).
    async fn start(&self, _cx: &Context) -> anyhow::Result<()> {
        Ok(())
    }

    /// Called once when the endpoint stops, in reverse order: ends processes and keeps the state.
    async fn stop(&self, _cx: &Context) {}
}
