//! CloudFormation of the fake account.

use serde_json::{Value, json};

use super::FakeAccount;
use crate::cloudformation::protection::unprotected_template;
use crate::testing::{Call, Response, error_response, escape_xml, query_response};

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
    tags: Vec<(String, String)>,
    /// The template of a change set that is not executed yet.
    pending: Option<Value>,
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
            tags: Vec::new(),
            pending: None,
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.id() == name
    }

    fn id(&self) -> String {
        format!("arn:aws:cloudformation:us-east-1:000000000000:stack/{}/1", self.name)
    }

    fn set_status(&mut self, status: &'static str) {
        self.status = status;
        self.events.push(("", status, ""));
    }
}

impl FakeAccount {
    /// Answers for the stack at this position; `None` if the operation is not CloudFormation's.
    pub(super) fn respond_for_stacks(
        &self,
        call: &Call,
        stacks: &mut Vec<FakeStack>,
        found: Option<usize>,
    ) -> Response {
        let operation = call.operation.as_str();
        let name = call.field("StackName");
        let result = |result: &str| query_response(operation, result);
        let rejection = |message: &str| error_response(400, "ValidationError", message);
        match operation {
            "DescribeStacks" if name.is_empty() => {
                let all: String = stacks.iter().map(described).collect();
                return result(&format!("<Stacks>{all}</Stacks>"));
            }
            "CreateChangeSet" => {
                let at = found.unwrap_or_else(|| {
                    let mut created = FakeStack::new(&name, "REVIEW_IN_PROGRESS");
                    created.events.clear();
                    stacks.push(created);
                    stacks.len() - 1
                });
                let template = serde_json::from_str(&call.field("TemplateBody"));
                stacks[at].pending = Some(template.expect("a template"));
                let tag = |number: usize| {
                    let field = |name: &str| call.field(&format!("Tags.member.{number}.{name}"));
                    (field("Key"), field("Value"))
                };
                // CreateChangeSet accepts 50 tags.
                stacks[at].tags = (1..=50).map(tag).take_while(|(key, _)| !key.is_empty()).collect();
                return result(&format!("<Id>set-{name}</Id><StackId>{}</StackId>", stacks[at].id()));
            }
            _ => {}
        }
        let Some(stack) = found.and_then(|at| stacks.get_mut(at)) else {
            return if name.is_empty() {
                None
            } else {
                rejection("Stack with that id does not exist")
            };
        };
        match operation {
            "DescribeStacks" if stack.status == "DELETE_COMPLETE" && name == stack.name => {
                rejection("Stack with that id does not exist")
            }
            "DescribeStacks" => result(&format!("<Stacks>{}</Stacks>", described(stack))),
            "ListStackResources" => result(&resources(stack)),
            "GetTemplate" => {
                let body = escape_xml(&stack.template.to_string());
                result(&format!("<TemplateBody>{body}</TemplateBody>"))
            }
            "DescribeStackEvents" => result(&events(stack)),
            "DescribeChangeSet" => result("<Status>CREATE_COMPLETE</Status><Changes></Changes>"),
            "DeleteChangeSet" => result(""),
            "ExecuteChangeSet" => {
                let failure = self
                    .creation_fails
                    .lock()
                    .take_if(|_| stack.status == "REVIEW_IN_PROGRESS");
                self.execute(stack, failure);
                result("")
            }
            "DeleteStack" if stack.protected => rejection("TerminationProtection is enabled"),
            "DeleteStack" => {
                self.delete(stack, &call.field("RetainResources.member.1"));
                result("")
            }
            "UpdateTerminationProtection" => {
                stack.protected = call.field("EnableTerminationProtection") == "true";
                result("")
            }
            "ContinueUpdateRollback" => {
                stack.set_status("UPDATE_ROLLBACK_IN_PROGRESS");
                stack.set_status("UPDATE_ROLLBACK_COMPLETE");
                result("")
            }
            _ => None,
        }
    }

    /// Executes the change set of a stack. A creation that fails is rolled back.
    fn execute(&self, stack: &mut FakeStack, failure: Option<(&'static str, &'static str)>) {
        stack.template = stack.pending.take().expect("a change set");
        let (start, end) = match stack.status {
            "REVIEW_IN_PROGRESS" => ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
            _ => ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        };
        stack.set_status(start);
        match failure {
            None => stack.set_status(end),
            Some((resource, reason)) => {
                stack.events.push((resource, "CREATE_FAILED", reason));
                stack.set_status("ROLLBACK_IN_PROGRESS");
                let refused = self.refuse_deletion(stack);
                stack.set_status(if refused {
                    "ROLLBACK_FAILED"
                } else {
                    "ROLLBACK_COMPLETE"
                });
            }
        }
    }

    fn delete(&self, stack: &mut FakeStack, retained: &str) {
        stack.set_status("DELETE_IN_PROGRESS");
        if self.refuse_deletion(stack) {
            stack.set_status("DELETE_FAILED");
            return;
        }
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
    }

    /// Returns whether a resource of the stack is protected; its deletion then fails as on AWS.
    fn refuse_deletion(&self, stack: &mut FakeStack) -> bool {
        let unprotected = self.unprotected.lock();
        let all = stack.template["Resources"].as_object().cloned().unwrap_or_default();
        let protected = all.into_iter().find(|(logical, resource)| {
            let physical = format!("{}-{logical}", stack.name);
            let alone = json!({ "Resources": { logical: resource } });
            unprotected_template(&alone).is_some() && !unprotected.contains(&physical)
        });
        if protected.is_some() {
            stack
                .events
                .push(("Protected", "DELETE_FAILED", "Cannot delete protected DB Instance"));
        }
        protected.is_some()
    }
}

fn described(stack: &FakeStack) -> String {
    let tag = |(key, value): &(String, String)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let tags: String = stack.tags.iter().map(tag).collect();
    format!(
        "<member><StackName>{}</StackName><StackId>{}</StackId><StackStatus>{}</StackStatus>\
         <CreationTime>2026-01-02T03:04:05Z</CreationTime><Tags>{tags}</Tags>\
         <EnableTerminationProtection>{}</EnableTerminationProtection></member>",
        stack.name,
        stack.id(),
        stack.status,
        stack.protected
    )
}

fn resources(stack: &FakeStack) -> String {
    let all = stack.template["Resources"].as_object().into_iter().flatten();
    let listed: Vec<String> = all
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
    format!("<StackResourceSummaries>{}</StackResourceSummaries>", listed.concat())
}

fn events(stack: &FakeStack) -> String {
    let listed: Vec<String> = stack
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
    format!("<StackEvents>{}</StackEvents>", listed.concat())
}
