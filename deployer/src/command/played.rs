//! A CloudFormation account that plays a part: a few stacks with their histories, and every call noted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cli::Cli;
use crate::target::Session;
use crate::target::scripted::Scripted;
use clap::Parser;
use ui::Ui;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deployer.toml");

/// A stack of the play.
#[derive(Debug, Clone)]
pub struct Stack {
    pub name: String,
    pub status: &'static str,
    pub protected: bool,
    pub template: Value,
    /// Statuses of the stack itself (resource `""`) and of resources, with reasons; oldest first.
    pub events: Vec<(&'static str, &'static str, &'static str)>,
    /// A resource that refuses to be deleted, and why.
    pub refuses: Option<(&'static str, &'static str)>,
}

impl Stack {
    pub fn new(name: &str, status: &'static str) -> Self {
        Self {
            name: name.into(),
            status,
            protected: false,
            template: json!({ "Resources": {} }),
            events: vec![("", "CREATE_IN_PROGRESS", ""), ("", "CREATE_COMPLETE", "")],
            refuses: None,
        }
    }

    fn id(&self) -> String {
        format!("arn:aws:cloudformation:us-east-1:000000000000:stack/{}/1", self.name)
    }

    fn goes(&mut self, status: &'static str) {
        self.status = status;
        self.events.push(("", status, ""));
    }
}

/// The account, shared with the endpoint that answers for it.
pub struct Account {
    pub stacks: Mutex<Vec<Stack>>,
    /// Operations that the endpoint does not have.
    pub lacks: Vec<&'static str>,
    /// Log groups that no stack holds.
    pub log_groups: Mutex<Vec<String>>,
    /// Network interfaces that nothing uses.
    pub interfaces: Mutex<Vec<String>>,
    /// Answers of services that have no part of their own, by operation.
    said: Mutex<HashMap<&'static str, String>>,
    called: Mutex<Vec<String>>,
}

impl Account {
    pub fn of(stacks: Vec<Stack>) -> Arc<Self> {
        Self::lacking(stacks, &[])
    }

    pub fn lacking(stacks: Vec<Stack>, lacks: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            stacks: Mutex::new(stacks),
            lacks: lacks.to_vec(),
            log_groups: Mutex::default(),
            interfaces: Mutex::default(),
            said: Mutex::default(),
            called: Mutex::default(),
        })
    }

    /// From now on this is the answer to an operation.
    pub fn says(&self, operation: &'static str, answer: &str) {
        self.said.lock().expect("whole").insert(operation, answer.to_owned());
    }

    /// An endpoint that answers for it until it is dropped, and a session of this environment that talks to it.
    pub async fn opens(self: &Arc<Self>, environment: &str, ui: &Ui) -> (Scripted, Session) {
        let account = self.clone();
        let endpoint = Scripted::start(move |operation, body| Some(account.answer(operation, body))).await;
        let url = endpoint.url();
        let options = [
            "deployer",
            "--endpoint-url",
            url,
            "--env",
            environment,
            "--manifest",
            MANIFEST,
            "status",
        ];
        let session = Session::new(Cli::parse_from(options).common, ui.clone());
        (endpoint, session)
    }

    /// The calls that change something, in their order: `DeleteStack patient-management-dev-network`.
    pub fn changes(&self) -> Vec<String> {
        let reads = |call: &&String| {
            ["Describe", "List", "Get", "Detect"]
                .iter()
                .any(|verb| call.starts_with(verb))
        };
        let called = self.called.lock().expect("whole");
        called
            .iter()
            .filter(|call| !call.is_empty() && !reads(call))
            .cloned()
            .collect()
    }

    fn answer(&self, operation: &str, body: &str) -> (u16, String) {
        let field = |name: &str| {
            let mut fields = url::form_urlencoded::parse(body.as_bytes());
            fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let wanted = field("StackName");
        let mut stacks = self.stacks.lock().expect("whole");
        let is_it = |stack: &Stack| {
            wanted
                .as_ref()
                .is_some_and(|wanted| *wanted == stack.name || *wanted == stack.id())
        };
        let found = stacks.iter_mut().find(|stack| is_it(stack));
        let short = found.as_ref().map(|stack| stack.name.clone()).unwrap_or_default();
        self.called
            .lock()
            .expect("whole")
            .push(format!("{operation} {short}").trim().to_owned());
        if self.lacks.contains(&operation) {
            let (_, text) = refusal("InternalFailure", "The operation has not yet been implemented");
            return (501, text);
        }
        if let Some(said) = self.said.lock().expect("whole").get(operation) {
            return (200, said.clone());
        }
        match (operation, found) {
            ("DescribeStacks", Some(stack))
                if stack.status != "DELETE_COMPLETE" || wanted != Some(stack.name.clone()) =>
            {
                result(operation, &format!("<Stacks>{}</Stacks>", described(stack)))
            }
            ("DescribeStacks", None) if wanted.is_none() => {
                let all: String = stacks.iter().map(described).collect();
                result(operation, &format!("<Stacks>{all}</Stacks>"))
            }
            ("DescribeStacks", _) => refusal("ValidationError", "Stack with that id does not exist"),
            ("ListStackResources", Some(stack)) => result(operation, &resources(stack)),
            ("GetTemplate", Some(stack)) => {
                let body = stack.template.to_string().replace('"', "&quot;");
                result(operation, &format!("<TemplateBody>{body}</TemplateBody>"))
            }
            ("DescribeStackEvents", Some(stack)) => result(operation, &events(stack)),
            ("DetectStackResourceDrift", Some(stack)) => {
                let logical = field("LogicalResourceId").unwrap_or_default();
                let properties = stack.template["Resources"][&logical]["Properties"]
                    .to_string()
                    .replace('"', "&quot;");
                let drift = format!(
                    "<StackResourceDrift><ActualProperties>{properties}</ActualProperties></StackResourceDrift>"
                );
                result(operation, &drift)
            }
            ("DescribeLoadBalancerAttributes", _) => result(
                operation,
                "<Attributes><member><Key>deletion_protection.enabled</Key><Value>true</Value></member></Attributes>",
            ),
            ("DeleteStack", Some(stack)) => {
                if stack.protected {
                    return refusal("ValidationError", "TerminationProtection is enabled");
                }
                stack.goes("DELETE_IN_PROGRESS");
                let retained = field("RetainResources.member.1");
                match stack.refuses {
                    Some((resource, _)) if retained.as_deref() == Some(resource) => {
                        stack.events.push((resource, "DELETE_SKIPPED", ""));
                        stack.goes("DELETE_COMPLETE");
                    }
                    Some((resource, why)) => {
                        stack.events.push((resource, "DELETE_FAILED", why));
                        stack.goes("DELETE_FAILED");
                    }
                    None => stack.goes("DELETE_COMPLETE"),
                }
                result(operation, "")
            }
            ("UpdateTerminationProtection", Some(stack)) => {
                stack.protected = field("EnableTerminationProtection").as_deref() == Some("true");
                result(operation, "")
            }
            ("ContinueUpdateRollback", Some(stack)) => {
                stack.goes("UPDATE_ROLLBACK_IN_PROGRESS");
                stack.goes("UPDATE_ROLLBACK_COMPLETE");
                result(operation, "")
            }
            ("ModifyLoadBalancerAttributes", _) => result(operation, ""),
            ("PutParameter" | "DeleteParameter" | "DeregisterTaskDefinition", _) => (200, "{}".into()),
            ("GetParameter", _) => missing(),
            ("GetParametersByPath", _) => (200, json!({ "Parameters": [] }).to_string()),
            ("ListTaskDefinitions", _) => (200, json!({ "taskDefinitionArns": [] }).to_string()),
            ("DescribeLogGroups", _) => {
                let asked: Value = serde_json::from_str(body).unwrap_or_default();
                let prefix = asked["logGroupNamePrefix"].as_str().unwrap_or_default();
                let groups = self.log_groups.lock().expect("whole");
                let found = groups.iter().filter(|name| name.starts_with(prefix));
                let told: Vec<Value> = found.map(|name| json!({ "logGroupName": name })).collect();
                (200, json!({ "logGroups": told }).to_string())
            }
            ("DeleteLogGroup", _) => {
                let asked: Value = serde_json::from_str(body).unwrap_or_default();
                let mut groups = self.log_groups.lock().expect("whole");
                groups.retain(|name| asked["logGroupName"] != **name);
                (200, "{}".into())
            }
            ("DescribeNetworkInterfaces", _) => {
                let interfaces = self.interfaces.lock().expect("whole");
                let item = |id: &String| {
                    format!("<item><networkInterfaceId>{id}</networkInterfaceId><status>available</status></item>")
                };
                let told: String = interfaces.iter().map(item).collect();
                let set = format!("<networkInterfaceSet>{told}</networkInterfaceSet>");
                (200, format!("<{operation}Response>{set}</{operation}Response>"))
            }
            ("DeleteNetworkInterface", _) => {
                self.interfaces.lock().expect("whole").clear();
                (
                    200,
                    format!("<{operation}Response><return>true</return></{operation}Response>"),
                )
            }
            _ => refusal("NotImplemented", "that is not part of the play"),
        }
    }
}

fn missing() -> (u16, String) {
    (
        400,
        json!({ "__type": "ParameterNotFound", "message": "it does not exist" }).to_string(),
    )
}

fn refusal(code: &str, message: &str) -> (u16, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (
        400,
        format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"),
    )
}

fn result(operation: &str, inner: &str) -> (u16, String) {
    (
        200,
        format!("<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>"),
    )
}

fn described(stack: &Stack) -> String {
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

fn resources(stack: &Stack) -> String {
    let all = stack.template["Resources"].as_object().into_iter().flatten();
    let told: String = all
        .map(|(logical, resource)| {
            let failed = stack.status.ends_with("_FAILED") && stack.refuses.is_some_and(|(id, _)| id == logical);
            let status = if failed { "DELETE_FAILED" } else { "CREATE_COMPLETE" };
            let kind = resource["Type"].as_str().unwrap_or_default();
            format!(
                "<member><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{}-{logical}</PhysicalResourceId>\
                 <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus></member>",
                stack.name
            )
        })
        .collect();
    format!("<StackResourceSummaries>{told}</StackResourceSummaries>")
}

fn events(stack: &Stack) -> String {
    let told: String = stack
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
    format!("<StackEvents>{told}</StackEvents>")
}
