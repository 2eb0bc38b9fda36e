//! Permissions and network paths that a change gives or takes away.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::canonical::canonical;
use super::text::words;

/// One permission or path, given or taken away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// Whether it is new; otherwise it goes.
    pub given: bool,
    /// `iam`, `network`, or `exposure`.
    pub area: &'static str,
    /// The role, group or resource, by its logical id.
    pub resource: String,
    /// In words, such as `allow s3:GetObject on arn:…` or `tcp 5432 from ${PatientServiceSecurityGroup.GroupId}`.
    pub what: String,
}

/// What the new template grants that the old one did not, and the other way round.
pub fn security(old: Option<&Value>, new: &Value) -> Vec<Grant> {
    let (before, after) = (old.map(grants).unwrap_or_default(), grants(new));
    let told = |given: bool, (area, resource, what): &Fact| Grant {
        given,
        area,
        resource: resource.clone(),
        what: what.clone(),
    };
    let mut found: Vec<Grant> = after.difference(&before).map(|fact| told(true, fact)).collect();
    found.extend(before.difference(&after).map(|fact| told(false, fact)));
    found.sort_by(|a, b| (a.area, &a.resource, !a.given, &a.what).cmp(&(b.area, &b.resource, !b.given, &b.what)));
    found
}

/// Where a group's only rule leads that is to have none.
const NOBODY: &str = "255.255.255.255/32";

type Fact = (&'static str, String, String);

fn grants(template: &Value) -> BTreeSet<Fact> {
    let mut facts = BTreeSet::new();
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let properties = canonical(&resource["Properties"], &[], crate::schema::of(kind));
        let Some(properties) = properties.as_object() else {
            continue;
        };
        let mut note = |area, what: String| {
            facts.insert((area, name.clone(), what));
        };
        policies(properties, &mut |what| note("iam", what));
        match kind {
            "AWS::EC2::SecurityGroup" => {
                for (key, direction) in [("SecurityGroupIngress", "from"), ("SecurityGroupEgress", "to")] {
                    let rules = properties.get(key).and_then(Value::as_array).into_iter().flatten();
                    for rule in rules.filter(|rule| rule["CidrIp"] != NOBODY) {
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
        for what in exposures(kind, properties) {
            note("exposure", what);
        }
    }
    facts
}

/// Every statement of every policy document in a resource, and the managed policies that it is given.
fn policies(properties: &Map<String, Value>, note: &mut dyn FnMut(String)) {
    for (key, value) in properties {
        match (key.as_str(), value) {
            ("ManagedPolicyArns", Value::Array(arns)) => {
                arns.iter().for_each(|arn| note(format!("all of {}", words(arn))))
            }
            (_, Value::Object(document)) if document.contains_key("Statement") => {
                let statements = document["Statement"].as_array().into_iter().flatten();
                statements.for_each(|statement| note(statement_words(statement)));
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

fn statement_words(statement: &Value) -> String {
    let list = |value: &Value| match value {
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => words(other),
    };
    let mut text = statement["Effect"].as_str().unwrap_or("Allow").to_lowercase();
    for (key, before) in [("Principal", " principal "), ("NotPrincipal", " every principal but ")] {
        match &statement[key] {
            Value::Object(kinds) => kinds
                .values()
                .for_each(|who| text.push_str(&format!("{before}{}", list(who)))),
            Value::Null => {}
            who => text.push_str(&format!("{before}{}", list(who))),
        }
    }
    for (key, before) in [
        ("Action", " "),
        ("NotAction", " everything but "),
        ("Resource", " on "),
        ("NotResource", " on everything but "),
    ] {
        if !statement[key].is_null() {
            text.push_str(&format!("{before}{}", list(&statement[key])));
        }
    }
    if !statement["Condition"].is_null() {
        text.push_str(&format!(" if {}", statement["Condition"]));
    }
    text
}

fn rule(properties: &Map<String, Value>, direction: &str) -> String {
    let whole = Value::Object(properties.clone());
    format!("{}: {}", words(&whole["GroupId"]), path(&whole, direction))
}

/// Such as `tcp 5432 from ${PatientServiceSecurityGroup.GroupId}`.
fn path(rule: &Value, direction: &str) -> String {
    let protocol = match rule["IpProtocol"].as_str() {
        Some("-1") | None => "everything".to_owned(),
        Some(protocol) => protocol.to_owned(),
    };
    let ports = match (&rule["FromPort"], &rule["ToPort"]) {
        (Value::Null, _) => String::new(),
        (from, to) if from == to || to.is_null() => format!(" {}", words(from)),
        (from, to) => format!(" {}-{}", words(from), words(to)),
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
        .map(words)
        .unwrap_or_default();
    format!("{protocol}{ports} {direction} {peer}")
}

/// Settings that open something to the world or leave it unencrypted.
fn exposures(kind: &str, properties: &Map<String, Value>) -> Vec<String> {
    let is = |key: &str, value: &str| properties.get(key).and_then(Value::as_str) == Some(value);
    let mut found = Vec::new();
    let mut note = |holds: bool, what: &str| found.extend(holds.then(|| what.to_owned()));
    match kind {
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
        "AWS::ElasticLoadBalancingV2::Listener" => note(is("Protocol", "HTTP"), "the listener speaks plain HTTP"),
        "AWS::EC2::Subnet" => note(
            is("MapPublicIpOnLaunch", "true"),
            "what starts in the subnet gets a public address",
        ),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(old: Value, new: Value) -> Vec<String> {
        let wrap = |resources: Value| json!({"Resources": resources});
        security(Some(&wrap(old)), &wrap(new))
            .into_iter()
            .map(|g| {
                format!(
                    "{} {} {}: {}",
                    if g.given { "+" } else { "-" },
                    g.area,
                    g.resource,
                    g.what
                )
            })
            .collect()
    }

    #[test]
    fn a_new_statement_and_a_wider_one_are_told_and_a_respelt_one_is_not() {
        let role = |statements: Value| {
            json!({"Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [
                {"PolicyName": "p", "PolicyDocument": {"Statement": statements}}]}}})
        };
        let one = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::GetAtt": "Bucket.Arn"}});
        let same = json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [{"Fn::Sub": "${Bucket.Arn}"}]}]);
        assert_eq!(told(role(one.clone()), role(same)), Vec::<String>::new());
        let wider = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
        assert_eq!(
            told(role(one), role(wider)),
            [
                "+ iam Role: allow s3:* on *",
                "- iam Role: allow s3:GetObject on ${Bucket.Arn}"
            ]
        );
    }

    #[test]
    fn a_path_that_opens_names_port_and_peer() {
        let group = |rules: Value| {
            json!({"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
                "SecurityGroupIngress": rules, "SecurityGroupEgress": []}}})
        };
        let open = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]);
        assert_eq!(
            told(group(json!([])), group(open)),
            ["+ network Group: tcp 22 from 0.0.0.0/0"]
        );
    }

    #[test]
    fn a_database_that_becomes_public_is_told() {
        let database = |public: bool| {
            json!({"Db": {"Type": "AWS::RDS::DBInstance", "Properties": {
                "PubliclyAccessible": public, "StorageEncrypted": true}}})
        };
        assert_eq!(
            told(database(false), database(true)),
            ["+ exposure Db: the database has a public address"]
        );
    }
}
