//! Permissions and network paths that a change grants or revokes.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::canonical::canonical;
use super::text::text;

/// A permission or network path that is granted or revoked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PermissionChange {
    /// Granted; otherwise revoked.
    #[serde(rename = "given")]
    pub granted: bool,
    /// `iam`, `network`, or `exposure`.
    pub area: &'static str,
    /// The logical ID of the role, security group or resource.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// Such as `allow s3:GetObject on arn:…` or `tcp 5432 from ${PatientServiceSecurityGroup.GroupId}`.
    pub what: String,
}

/// Returns the permissions that the new template grants and the old one did not, and the other way round.
pub fn permission_changes(old: Option<&Value>, new: &Value) -> Vec<PermissionChange> {
    let (before, after) = (old.map(permissions).unwrap_or_default(), permissions(new));
    let change = |granted: bool, (area, logical_id, what): &Permission| PermissionChange {
        granted,
        area,
        logical_id: logical_id.clone(),
        what: what.clone(),
    };
    let granted = after.difference(&before).map(|permission| change(true, permission));
    let revoked = before.difference(&after).map(|permission| change(false, permission));
    let mut changes: Vec<PermissionChange> = granted.chain(revoked).collect();
    changes.sort_by(|a, b| {
        (a.area, &a.logical_id, !a.granted, &a.what).cmp(&(b.area, &b.logical_id, !b.granted, &b.what))
    });
    changes
}

/// Destination of the only egress rule of a security group that allows none; without a rule EC2 allows everything.
const NOWHERE: &str = "255.255.255.255/32";

/// Area, logical ID, description.
type Permission = (&'static str, String, String);

fn permissions(template: &Value) -> BTreeSet<Permission> {
    let mut found = BTreeSet::new();
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        let resource_type = resource["Type"].as_str().unwrap_or_default();
        let properties = canonical(&resource["Properties"], &[], crate::schema::of(resource_type));
        let Some(properties) = properties.as_object() else {
            continue;
        };
        let mut note = |area, what: String| {
            found.insert((area, name.clone(), what));
        };
        policies(properties, &mut |what| note("iam", what));
        match resource_type {
            "AWS::EC2::SecurityGroup" => {
                for (key, direction) in [("SecurityGroupIngress", "from"), ("SecurityGroupEgress", "to")] {
                    let rules = properties.get(key).and_then(Value::as_array).into_iter().flatten();
                    for rule in rules.filter(|rule| rule["CidrIp"] != NOWHERE) {
                        note("network", path(rule, direction));
                    }
                }
                // Without any rule EC2 allows all outbound traffic.
                if !properties.contains_key("SecurityGroupEgress") {
                    note("network", "everything to 0.0.0.0/0".to_owned());
                }
            }
            "AWS::EC2::SecurityGroupIngress" => note("network", rule(properties, "from")),
            "AWS::EC2::SecurityGroupEgress" => note("network", rule(properties, "to")),
            _ => {}
        }
        for what in exposures(resource_type, properties) {
            note("exposure", what);
        }
    }
    found
}

/// Reports every statement of every policy document in a resource, and its managed policies.
fn policies(properties: &Map<String, Value>, note: &mut dyn FnMut(String)) {
    for (key, value) in properties {
        match (key.as_str(), value) {
            ("ManagedPolicyArns", Value::Array(arns)) => {
                for arn in arns {
                    note(format!("all of {}", text(arn)));
                }
            }
            (_, Value::Object(document)) if document.contains_key("Statement") => {
                let statements = document["Statement"].as_array().into_iter().flatten();
                statements.for_each(|statement| note(statement_text(statement)));
            }
            (_, Value::Object(inner)) => policies(inner, note),
            (_, Value::Array(items)) => {
                items
                    .iter()
                    .filter_map(Value::as_object)
                    .for_each(|inner| policies(inner, note));
            }
            _ => {}
        }
    }
}

fn statement_text(statement: &Value) -> String {
    let list = |value: &Value| match value {
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => text(other),
    };
    let mut line = statement["Effect"].as_str().unwrap_or("Allow").to_lowercase();
    for (key, before) in [
        ("Principal", " principal "),
        ("NotPrincipal", " every principal except "),
    ] {
        match &statement[key] {
            Value::Object(kinds) => kinds
                .values()
                .for_each(|who| line.push_str(&format!("{before}{}", list(who)))),
            Value::Null => {}
            who => line.push_str(&format!("{before}{}", list(who))),
        }
    }
    for (key, before) in [
        ("Action", " "),
        ("NotAction", " everything except "),
        ("Resource", " on "),
        ("NotResource", " on everything except "),
    ] {
        if !statement[key].is_null() {
            line.push_str(&format!("{before}{}", list(&statement[key])));
        }
    }
    if !statement["Condition"].is_null() {
        line.push_str(&format!(" if {}", statement["Condition"]));
    }
    line
}

/// Returns a rule that is a separate resource, with its security group.
fn rule(properties: &Map<String, Value>, direction: &str) -> String {
    let rule = Value::Object(properties.clone());
    format!("{}: {}", text(&rule["GroupId"]), path(&rule, direction))
}

/// Returns a rule's path, such as `tcp 5432 from ${PatientServiceSecurityGroup.GroupId}`.
fn path(rule: &Value, direction: &str) -> String {
    let protocol = match rule["IpProtocol"].as_str() {
        Some("-1") | None => "everything".to_owned(),
        Some(protocol) => protocol.to_owned(),
    };
    let ports = match (&rule["FromPort"], &rule["ToPort"]) {
        (Value::Null, _) => String::new(),
        (from, to) if from == to || to.is_null() => format!(" {}", text(from)),
        (from, to) => format!(" {}-{}", text(from), text(to)),
    };
    let peers = [
        "CidrIp",
        "CidrIpv6",
        "SourceSecurityGroupId",
        "DestinationSecurityGroupId",
        "SourcePrefixListId",
        "DestinationPrefixListId",
    ];
    let peer = peers
        .iter()
        .map(|key| &rule[key])
        .find(|value| !value.is_null())
        .map(text)
        .unwrap_or_default();
    format!("{protocol}{ports} {direction} {peer}")
}

/// Returns settings that expose a resource to the internet or leave its data unencrypted.
fn exposures(resource_type: &str, properties: &Map<String, Value>) -> Vec<String> {
    let is = |key: &str, value: &str| properties.get(key).and_then(Value::as_str) == Some(value);
    let mut found = Vec::new();
    let mut note = |applies: bool, what: &str| found.extend(applies.then(|| what.to_owned()));
    match resource_type {
        "AWS::RDS::DBInstance" | "AWS::RDS::DBCluster" => {
            note(is("PubliclyAccessible", "true"), "the database has a public address");
            note(
                !is("StorageEncrypted", "true"),
                "the database's storage is not encrypted",
            );
        }
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => {
            note(
                !is("Scheme", "internal"),
                "the load balancer is reachable from the internet",
            );
        }
        "AWS::ElasticLoadBalancingV2::Listener" => {
            note(is("Protocol", "HTTP"), "the listener accepts HTTP without TLS");
        }
        "AWS::EC2::Subnet" => note(
            is("MapPublicIpOnLaunch", "true"),
            "instances in the subnet receive a public address",
        ),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(old: Value, new: Value) -> Vec<String> {
        let wrap = |resources: Value| json!({"Resources": resources});
        permission_changes(Some(&wrap(old)), &wrap(new))
            .into_iter()
            .map(|change| {
                let sign = if change.granted { "+" } else { "-" };
                format!("{sign} {} {}: {}", change.area, change.logical_id, change.what)
            })
            .collect()
    }

    #[test]
    fn a_new_statement_and_a_wider_one_are_reported_and_another_spelling_is_not() {
        let role = |statements: Value| {
            json!({"Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [
                {"PolicyName": "p", "PolicyDocument": {"Statement": statements}}]}}})
        };
        let one = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::GetAtt": "Bucket.Arn"}});
        let same = json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [{"Fn::Sub": "${Bucket.Arn}"}]}]);
        assert_eq!(changes(role(one.clone()), role(same)), Vec::<String>::new());
        let wider = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
        assert_eq!(
            changes(role(one), role(wider)),
            [
                "+ iam Role: allow s3:* on *",
                "- iam Role: allow s3:GetObject on ${Bucket.Arn}"
            ]
        );
    }

    #[test]
    fn a_new_path_names_port_and_peer() {
        let group = |rules: Value| {
            json!({"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
                "SecurityGroupIngress": rules, "SecurityGroupEgress": []}}})
        };
        let open = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]);
        assert_eq!(
            changes(group(json!([])), group(open)),
            ["+ network Group: tcp 22 from 0.0.0.0/0"]
        );
    }

    #[test]
    fn a_database_that_becomes_public_is_reported() {
        let database = |public: bool| {
            json!({"Db": {"Type": "AWS::RDS::DBInstance", "Properties": {
                "PubliclyAccessible": public, "StorageEncrypted": true}}})
        };
        assert_eq!(
            changes(database(false), database(true)),
            ["+ exposure Db: the database has a public address"]
        );
    }
}
