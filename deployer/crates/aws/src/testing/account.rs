//! A fake account: stacks with their events, a few other resources, and a record of every call.

mod resource;
mod stack;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Call, FakeAws, Response, error_response};
pub use stack::FakeStack;

/// The state of the account, shared with its endpoint.
pub struct FakeAccount {
    /// The stacks that exist.
    pub stacks: Mutex<Vec<FakeStack>>,
    /// Operations that the endpoint does not support.
    unsupported: Vec<&'static str>,
    /// Log groups that are in no stack.
    pub log_groups: Mutex<Vec<String>>,
    /// Unused network interfaces.
    pub interfaces: Mutex<Vec<String>>,
    /// SSM parameters: value, and time of the last change in seconds.
    parameters: Mutex<BTreeMap<String, (String, f64)>>,
    /// Time that has passed in the account.
    elapsed: Mutex<Duration>,
    /// Physical IDs of databases and load balancers whose protection was disabled.
    unprotected: Mutex<BTreeSet<String>>,
    /// The resource at which the next creation of a stack fails, and the reason.
    creation_fails: Mutex<Option<(&'static str, &'static str)>>,
    /// Responses to operations that are not implemented here.
    responses: Mutex<HashMap<&'static str, String>>,
    calls: Mutex<Vec<String>>,
}

impl FakeAccount {
    /// Creates an account with these stacks.
    pub fn new(stacks: Vec<FakeStack>) -> Arc<Self> {
        Self::without(stacks, &[])
    }

    /// Returns an account on an endpoint that does not support these operations.
    pub fn without(stacks: Vec<FakeStack>, unsupported: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            stacks: Mutex::new(stacks),
            unsupported: unsupported.to_vec(),
            log_groups: Mutex::default(),
            interfaces: Mutex::default(),
            parameters: Mutex::default(),
            elapsed: Mutex::default(),
            unprotected: Mutex::default(),
            creation_fails: Mutex::default(),
            responses: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// Sets the response to an operation.
    pub fn set_response(&self, operation: &'static str, response: &str) {
        self.responses.lock().insert(operation, response.to_owned());
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        *self.elapsed.lock() += duration;
    }

    /// Writes an SSM parameter.
    pub fn set_parameter(&self, name: &str, value: &str) {
        let now = self.elapsed.lock().as_secs_f64();
        self.parameters.lock().insert(name.to_owned(), (value.to_owned(), now));
    }

    /// Returns the value of an SSM parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.lock().get(name).map(|(value, _)| value.clone())
    }

    /// Lets the next creation of a stack fail at this resource.
    pub fn fail_next_creation(&self, resource: &'static str, reason: &'static str) {
        *self.creation_fails.lock() = Some((resource, reason));
    }

    /// Starts an endpoint that answers for the account until it is dropped.
    pub async fn start(self: &Arc<Self>) -> FakeAws {
        let account = self.clone();
        FakeAws::start(move |call| account.respond(call)).await
    }

    /// Returns the calls that change something, in order, such as `DeleteStack shop-dev-network`.
    pub fn changes(&self) -> Vec<String> {
        let reads = |call: &&String| {
            ["Describe", "List", "Get", "Detect"]
                .iter()
                .any(|verb| call.starts_with(verb))
        };
        let calls = self.calls.lock();
        calls
            .iter()
            .filter(|call| !call.is_empty() && !reads(call))
            .cloned()
            .collect()
    }

    fn respond(&self, call: &Call) -> Response {
        let operation = call.operation.as_str();
        let name = call.field("StackName");
        let mut stacks = self.stacks.lock();
        let found = stacks.iter().position(|stack| stack.is_named(&name));
        let stack_name = found.map(|at| stacks[at].name.clone()).unwrap_or_default();
        self.calls
            .lock()
            .push(format!("{operation} {stack_name}").trim().to_owned());
        if self.unsupported.contains(&operation) {
            return error_response(501, "InternalFailure", "The operation has not yet been implemented");
        }
        if let Some(response) = self.responses.lock().get(operation) {
            return Some((200, response.clone()));
        }
        let missing = "the fake account does not implement this operation";
        self.respond_for_stacks(call, &mut stacks, found)
            .or_else(|| self.respond_for_resources(call))
            .or_else(|| error_response(400, "NotImplemented", missing))
    }
}
