//! A fake account: stacks with their events, a few other resources, and a record of every call.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Call, FakeAws, Response, error_response, query_response};

/// A fake stack.
#[derive(Debug, Clone)]
pub struct FakeStack {
    /// The full name.
    pub name: String,
    /// The status code.
    pub status: &'static str,
    /// True if it has termination protection.
    pub protected: bool,
    /// The template as deployed.
    pub template: Value,
    /// Statuses of the stack itself (resource `""`) and of resources, with reasons; oldest first.
    pub events: Vec<(&'static str, &'static str, &'static str)>,
    /// A resource whose deletion fails, and the reason.
    pub delete_fails: Option<(&'static str, &'static str)>,
}

impl FakeStack {
    /// Creates a stack without a template.
    pub fn new(name: &str, status: &'static str) -> Self {
        Self {
            name: name.into(),
            status,
            protected: false,
            template: json!({ "Resources": {} }),
            events: vec![("", "CREATE_IN_PROGRESS", ""), ("", "CREATE_COMPLETE", "")],
            delete_fails: None,
        }
    }

    fn id(&self) -> String {
        format!("arn:aws:cloudformation:us-east-1:000000000000:stack/{}/1", self.name)
    }

    fn set_status(&mut self, status: &'static str) {
        self.status = status;
        self.events.push(("", status, ""));
    }
}

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
            responses: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// Sets the response to an operation.
    pub fn set_response(&self, operation: &'static str, response: &str) {
        self.responses.lock().insert(operation, response.to_owned());
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

    #[expect(clippy::too_many_lines, reason = "a table of operations")]
    fn respond(&self, call: &Call) -> Response {
        let operation = call.operation.as_str();
        let name = call.field("StackName");
        let mut stacks = self.stacks.lock();
        let found = stacks.iter_mut().find(|stack| name == stack.name || name == stack.id());
        let stack_name = found.as_ref().map(|stack| stack.name.clone()).unwrap_or_default();
        self.calls
            .lock()
            .push(format!("{operation} {stack_name}").trim().to_owned());
        if self.unsupported.contains(&operation) {
            return error_response(501, "InternalFailure", "The operation has not yet been implemented");
        }
        if let Some(response) = self.responses.lock().get(operation) {
            return Some((200, response.clone()));
        }
        let result = |result: &str| query_response(operation, result);
        let rejection = |code: &str, message: &str| error_response(400, code, message);
        let json = |value: Value| Some((200, value.to_string()));
        match (operation, found) {
            ("DescribeStacks", Some(stack)) if stack.status != "DELETE_COMPLETE" || name != stack.name => {
                result(&format!("<Stacks>{}</Stacks>", described(stack)))
            }
            ("DescribeStacks", None) if name.is_empty() => {
                let all: String = stacks.iter().map(described).collect();
                result(&format!("<Stacks>{all}</Stacks>"))
            }
            ("DescribeStacks", _) => rejection("ValidationError", "Stack with that id does not exist"),
            ("ListStackResources", Some(stack)) => result(&resources(stack)),
            ("GetTemplate", Some(stack)) => {
                let body = stack.template.to_string().replace('"', "&quot;");
                result(&format!("<TemplateBody>{body}</TemplateBody>"))
            }
            ("DescribeStackEvents", Some(stack)) => result(&events(stack)),
            ("DetectStackResourceDrift", Some(stack)) => {
                let logical = call.field("LogicalResourceId");
                let properties = stack.template["Resources"][&logical]["Properties"]
                    .to_string()
                    .replace('"', "&quot;");
                let drift = format!(
                    "<StackResourceDrift><ActualProperties>{properties}</ActualProperties></StackResourceDrift>"
                );
                result(&drift)
            }
            ("DescribeLoadBalancerAttributes", _) => result(
                "<Attributes><member><Key>deletion_protection.enabled</Key><Value>true</Value></member></Attributes>",
            ),
            ("DeleteStack", Some(stack)) => {
                if stack.protected {
                    return rejection("ValidationError", "TerminationProtection is enabled");
                }
                stack.set_status("DELETE_IN_PROGRESS");
                let retained = call.field("RetainResources.member.1");
                match stack.delete_fails {
                    Some((resource, _)) if retained == resource => {
                        stack.events.push((resource, "DELETE_SKIPPED", ""));
                        stack.set_status("DELETE_COMPLETE");
                    }
                    Some((resource, why)) => {
                        stack.events.push((resource, "DELETE_FAILED", why));
                        stack.set_status("DELETE_FAILED");
                    }
                    None => stack.set_status("DELETE_COMPLETE"),
                }
                result("")
            }
            ("UpdateTerminationProtection", Some(stack)) => {
                stack.protected = call.field("EnableTerminationProtection") == "true";
                result("")
            }
            ("ContinueUpdateRollback", Some(stack)) => {
                stack.set_status("UPDATE_ROLLBACK_IN_PROGRESS");
                stack.set_status("UPDATE_ROLLBACK_COMPLETE");
                result("")
            }
            ("ModifyLoadBalancerAttributes", _) => result(""),
            ("PutParameter" | "DeleteParameter" | "DeregisterTaskDefinition", _) => json(json!({})),
            ("GetParameter", _) => {
                let error = json!({ "__type": "ParameterNotFound", "message": "it does not exist" });
                Some((400, error.to_string()))
            }
            ("GetParametersByPath", _) => json(json!({ "Parameters": [] })),
            ("ListTaskDefinitions", _) => json(json!({ "taskDefinitionArns": [] })),
            ("DescribeLogGroups", _) => {
                let request = call.json();
                let prefix = request["logGroupNamePrefix"].as_str().unwrap_or_default();
                let groups = self.log_groups.lock();
                let found = groups.iter().filter(|name| name.starts_with(prefix));
                let listed: Vec<Value> = found.map(|name| json!({ "logGroupName": name })).collect();
                json(json!({ "logGroups": listed }))
            }
            ("DeleteLogGroup", _) => {
                let request = call.json();
                let mut groups = self.log_groups.lock();
                groups.retain(|name| request["logGroupName"] != **name);
                json(json!({}))
            }
            ("DescribeNetworkInterfaces", _) => {
                let interfaces = self.interfaces.lock();
                let item = |id: &String| {
                    format!("<item><networkInterfaceId>{id}</networkInterfaceId><status>available</status></item>")
                };
                let listed: String = interfaces.iter().map(item).collect();
                let set = format!("<networkInterfaceSet>{listed}</networkInterfaceSet>");
                Some((200, format!("<{operation}Response>{set}</{operation}Response>")))
            }
            ("DeleteNetworkInterface", _) => {
                self.interfaces.lock().clear();
                let text = format!("<{operation}Response><return>true</return></{operation}Response>");
                Some((200, text))
            }
            _ => rejection("NotImplemented", "the fake account does not implement this operation"),
        }
    }
}

fn described(stack: &FakeStack) -> String {
    format!(
        "<member><StackName>{}</StackName><StackId>{}</StackId><StackStatus>{}</StackStatus>\
         <CreationTime>2026-01-02T03:04:05Z</CreationTime>\
         <EnableTerminationProtection>{}</EnableTerminationProtection></member>",
        stack.name,
        stack.id(),
        stack.status,
        stack.protected
    )
}

fn resources(stack: &FakeStack) -> String {
    let all = stack.template["Resources"].as_object().into_iter().flatten();
    let listed: String = all
        .map(|(logical, resource)| {
            let failed = stack.status.ends_with("_FAILED") && stack.delete_fails.is_some_and(|(id, _)| id == logical);
            let status = if failed { "DELETE_FAILED" } else { "CREATE_COMPLETE" };
            let kind = resource["Type"].as_str().unwrap_or_default();
            format!(
                "<member><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{}-{logical}</PhysicalResourceId>\
                 <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus></member>",
                stack.name
            )
        })
        .collect();
    format!("<StackResourceSummaries>{listed}</StackResourceSummaries>")
}

fn events(stack: &FakeStack) -> String {
    let listed: String = stack
        .events
        .iter()
        .enumerate()
        .rev()
        .map(|(at, (resource, status, reason))| {
            let (logical, physical, kind) = if resource.is_empty() {
                (stack.name.as_str(), stack.id(), "AWS::CloudFormation::Stack")
            } else {
                (*resource, format!("{}-{resource}", stack.name), "AWS::EC2::VPC")
            };
            format!(
                "<member><EventId>{at}</EventId><StackId>{}</StackId><LogicalResourceId>{logical}</LogicalResourceId>\
                 <PhysicalResourceId>{physical}</PhysicalResourceId><ResourceType>{kind}</ResourceType>\
                 <ResourceStatus>{status}</ResourceStatus><ResourceStatusReason>{reason}</ResourceStatusReason>\
                 <Timestamp>2026-01-02T03:04:05Z</Timestamp></member>",
                stack.id()
            )
        })
        .collect();
    format!("<StackEvents>{listed}</StackEvents>")
}
