//! The other services of the fake account.

use serde_json::{Value, json};

use super::FakeAccount;
use crate::testing::{Call, Response, query_response};

impl FakeAccount {
    /// Answers an operation of a service other than CloudFormation; `None` if it is not implemented.
    pub(super) fn respond_for_resources(&self, call: &Call) -> Response {
        let operation = call.operation.as_str();
        let result = |result: &str| query_response(operation, result);
        let json = |value: Value| Some((200, value.to_string()));
        match operation {
            "DescribeLoadBalancerAttributes" => {
                let protected = !self.unprotected.lock().contains(&call.field("LoadBalancerArn"));
                result(&format!(
                    "<Attributes><member><Key>deletion_protection.enabled</Key><Value>{protected}</Value></member></Attributes>"
                ))
            }
            "ModifyLoadBalancerAttributes" => {
                self.unprotected.lock().insert(call.field("LoadBalancerArn"));
                result("")
            }
            "DescribeDBInstances" => {
                let protected = !self.unprotected.lock().contains(&call.field("DBInstanceIdentifier"));
                let instance = format!("<DBInstance><DeletionProtection>{protected}</DeletionProtection></DBInstance>");
                result(&format!("<DBInstances>{instance}</DBInstances>"))
            }
            "ModifyDBInstance" => {
                self.unprotected.lock().insert(call.field("DBInstanceIdentifier"));
                result("")
            }
            "PutParameter" | "GetParameter" | "DeleteParameter" => Some(self.respond_for_parameters(call)),
            "DeregisterTaskDefinition" => json(json!({})),
            "GetParametersByPath" => json(json!({ "Parameters": [] })),
            "ListTaskDefinitions" => json(json!({ "taskDefinitionArns": [] })),
            "DescribeLogGroups" => {
                let request = call.json();
                let prefix = request["logGroupNamePrefix"].as_str().unwrap_or_default();
                let groups = self.log_groups.lock();
                let found = groups.iter().filter(|name| name.starts_with(prefix));
                let listed: Vec<Value> = found.map(|name| json!({ "logGroupName": name })).collect();
                json(json!({ "logGroups": listed }))
            }
            "DeleteLogGroup" => {
                let request = call.json();
                let mut groups = self.log_groups.lock();
                groups.retain(|name| request["logGroupName"] != **name);
                json(json!({}))
            }
            "DescribeNetworkInterfaces" => {
                let interfaces = self.interfaces.lock();
                let item = |id: &String| {
                    format!("<item><networkInterfaceId>{id}</networkInterfaceId><status>available</status></item>")
                };
                let listed: String = interfaces.iter().map(item).collect();
                let set = format!("<networkInterfaceSet>{listed}</networkInterfaceSet>");
                Some((200, format!("<{operation}Response>{set}</{operation}Response>")))
            }
            "DeleteNetworkInterface" => {
                self.interfaces.lock().clear();
                let text = format!("<{operation}Response><return>true</return></{operation}Response>");
                Some((200, text))
            }
            _ => None,
        }
    }

    fn respond_for_parameters(&self, call: &Call) -> (u16, String) {
        let request = call.json();
        let name = request["Name"].as_str().unwrap_or_default();
        let known = self.parameters.lock().get(name).cloned();
        let text = match (call.operation.as_str(), known) {
            ("PutParameter", Some(_)) if request["Overwrite"] != true => {
                return json_error("ParameterAlreadyExists");
            }
            ("PutParameter", _) => {
                self.set_parameter(name, request["Value"].as_str().unwrap_or_default());
                json!({ "Version": 1 })
            }
            ("GetParameter", Some((value, modified))) => {
                json!({ "Parameter": { "Name": name, "Value": value, "LastModifiedDate": modified } })
            }
            ("DeleteParameter", Some(_)) => {
                self.parameters.lock().remove(name);
                json!({})
            }
            _ => return json_error("ParameterNotFound"),
        };
        (200, text.to_string())
    }
}

fn json_error(code: &str) -> (u16, String) {
    let error = json!({ "__type": code, "message": "" });
    (400, error.to_string())
}
