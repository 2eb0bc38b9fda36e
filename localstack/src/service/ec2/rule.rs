//! Security-group rules: inline ones of a group, and those that are resources of their own.

use serde_json::{Value, json};

use super::cidr::Cidr;
use super::describe::with;
use super::ids::{self, invalid, required};
use super::security_group;
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const RULES: Records = Records("ec2.security-group-rules");

/// What names the other side of a rule.
const PEERS: [&str; 6] = [
    "SourceSecurityGroupId",
    "DestinationSecurityGroupId",
    "CidrIp",
    "CidrIpv6",
    "SourcePrefixListId",
    "DestinationPrefixListId",
];

pub struct Ingress;

impl RecordType for Ingress {
    const TYPE: &'static str = "AWS::EC2::SecurityGroupIngress";
    const RECORDS: Records = RULES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "GroupId",
                "GroupName",
                "IpProtocol",
                "FromPort",
                "ToPort",
                "CidrIp",
                "CidrIpv6",
                "Description",
                "SourcePrefixListId",
                "SourceSecurityGroupId",
                "SourceSecurityGroupName",
                "SourceSecurityGroupOwnerId",
            ],
            required: &["IpProtocol"],
            create_only: &[
                "GroupId",
                "GroupName",
                "IpProtocol",
                "FromPort",
                "ToPort",
                "CidrIp",
                "CidrIpv6",
                "SourcePrefixListId",
                "SourceSecurityGroupId",
                "SourceSecurityGroupName",
                "SourceSecurityGroupOwnerId",
            ],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        standalone(cx, desired, false)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

pub struct Egress;

impl RecordType for Egress {
    const TYPE: &'static str = "AWS::EC2::SecurityGroupEgress";
    const RECORDS: Records = RULES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "GroupId",
                "IpProtocol",
                "FromPort",
                "ToPort",
                "CidrIp",
                "CidrIpv6",
                "Description",
                "DestinationPrefixListId",
                "DestinationSecurityGroupId",
            ],
            required: &["GroupId", "IpProtocol"],
            create_only: &[
                "GroupId",
                "IpProtocol",
                "FromPort",
                "ToPort",
                "CidrIp",
                "CidrIpv6",
                "DestinationPrefixListId",
                "DestinationSecurityGroupId",
            ],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        standalone(cx, desired, true)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

/// The rules of a group, both ways.
pub fn of(cx: &Context, group: &str) -> Result<Vec<Record>, AwsError> {
    Ok(RULES
        .list(cx)?
        .into_iter()
        .filter(|rule| rule.has("GroupId", group))
        .collect())
}

/// Puts the group's inline rules in the place of those it had.
pub fn inline(cx: &Context, group: &Record) -> Result<(), AwsError> {
    let old: Vec<Record> = of(cx, &group.id)?
        .into_iter()
        .filter(|rule| rule.computed("Inline").is_some())
        .collect();
    for rule in &old {
        RULES.delete(cx, &rule.id)?;
    }
    let put_all = || {
        for (property, egress) in [("SecurityGroupIngress", false), ("SecurityGroupEgress", true)] {
            let listed = group
                .properties
                .get(property)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            for mut rule in listed.iter().cloned() {
                rule["GroupId"] = group.id.clone().into();
                put(cx, rule, egress, "inline")?;
            }
            // Without egress rules of its own in the template, a group keeps the one that lets everything out.
            if egress && listed.is_empty() {
                put(
                    cx,
                    json!({"GroupId": group.id, "IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}),
                    true,
                    "inline",
                )?;
            }
        }
        Ok(())
    };
    put_all().inspect_err(|_| {
        for rule in of(cx, &group.id)
            .unwrap_or_default()
            .iter()
            .filter(|rule| rule.computed("Inline").is_some())
        {
            RULES.delete(cx, &rule.id).ok();
        }
        for rule in &old {
            RULES.put(cx, rule).ok();
        }
    })
}

/// Checks and stores one rule that came with a group.
pub fn put(cx: &Context, properties: Value, egress: bool, origin: &str) -> Result<(), AwsError> {
    let mut rule = Record::from_properties(ids::new("sgr"), properties);
    rule.computed.insert("Inline".into(), origin.into());
    check(cx, &mut rule, egress)?;
    RULES.put(cx, &rule)
}

pub fn is_egress(rule: &Record) -> bool {
    rule.computed.get("Egress") == Some(&Value::Bool(true))
}

/// The group on the other side, when the rule names one.
pub fn peer_group(rule: &Record) -> Option<String> {
    rule.text("SourceSecurityGroupId")
        .or(rule.text("DestinationSecurityGroupId"))
}

/// Whether the rule is about TCP on this port.
pub fn covers(rule: &Record, port: u16) -> bool {
    match rule.text("IpProtocol").as_deref() {
        Some("-1" | "all") => true,
        Some("tcp" | "6") => {
            let edge = |property: &str, or: i64| rule.text(property).and_then(|p| p.parse().ok()).unwrap_or(or);
            (edge("FromPort", 0)..=edge("ToPort", 65_535)).contains(&i64::from(port))
        }
        _ => false,
    }
}

fn standalone(cx: &Context, desired: &Desired, egress: bool) -> Result<Record, AwsError> {
    let mut rule = Record::new(ids::new("sgr"), desired);
    rule.inherited = Vec::new();
    rule.tags.clear();
    check(cx, &mut rule, egress)?;
    Ok(rule)
}

fn check(cx: &Context, rule: &mut Record, egress: bool) -> Result<(), AwsError> {
    rule.computed.insert("Egress".into(), egress.into());
    let group = security_group::named(cx, &required(rule, "GroupId")?)?;
    if let Some(peer) = peer_group(rule)
        && security_group::named(cx, &peer)?.text("VpcId") != group.text("VpcId")
    {
        let reason = format!(
            "You have specified two resources that belong to different networks: {} and {peer}",
            group.id
        );
        return Err(AwsError::new("InvalidGroup.NotFound", reason));
    }
    if let Some(block) = rule.text("CidrIp") {
        block
            .parse::<Cidr>()
            .map_err(|_| invalid(format!("CIDR block {block} is malformed")))?;
    }
    let peers: Vec<&str> = PEERS.into_iter().filter(|peer| rule.text(peer).is_some()).collect();
    if peers.len() != 1 {
        return Err(invalid(format!(
            "A rule of {} needs exactly one peer; it has {}.",
            group.id,
            peers.len()
        )));
    }
    let protocol = required(rule, "IpProtocol")?;
    if matches!(protocol.as_str(), "tcp" | "udp" | "6" | "17") {
        let port = |property: &str| {
            required(rule, property)?
                .parse::<i64>()
                .map_err(|_| invalid(format!("{property} must be a number")))
        };
        let (from, to) = (port("FromPort")?, port("ToPort")?);
        if !(0..=65_535).contains(&from) || to > 65_535 || from > to {
            return Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})")));
        }
    }
    for other in of(cx, &group.id)?.iter().filter(|other| other.id != rule.id) {
        // A group's rule that lets everything out is a default and may be said again.
        if is_egress(other) == egress
            && words(other) == words(rule)
            && other.computed("Inline").as_deref() != Some("default")
        {
            let reason = format!("the specified rule \"{}, ALLOW\" already exists", words(rule));
            return Err(AwsError::new("InvalidPermission.Duplicate", reason));
        }
    }
    Ok(())
}

/// The rule as EC2's errors write it; two rules are the same when their words are.
fn words(rule: &Record) -> String {
    let peer = PEERS.into_iter().find_map(|peer| rule.text(peer)).unwrap_or_default();
    let protocol = match rule.text("IpProtocol").unwrap_or_default().as_str() {
        "-1" | "all" => return format!("peer: {peer}, ALL"),
        "6" => "TCP".into(),
        "17" => "UDP".into(),
        other => other.to_uppercase(),
    };
    let port = |property: &str| rule.text(property).unwrap_or_else(|| "-1".into());
    format!(
        "peer: {peer}, {protocol}, from port: {}, to port: {}",
        port("FromPort"),
        port("ToPort")
    )
}

/// The rule as `DescribeSecurityGroups` shows it.
pub fn permission(cx: &Context, rule: &Record) -> Value {
    let described = |item: Value| with(item, "Description", rule.text("Description"));
    let list = |property: &str, member: &str| -> Vec<Value> {
        rule.text(property)
            .map(|value| described(json!({ member: value })))
            .into_iter()
            .collect()
    };
    let prefixes = [
        list("SourcePrefixListId", "PrefixListId"),
        list("DestinationPrefixListId", "PrefixListId"),
    ]
    .concat();
    let groups: Vec<Value> = peer_group(rule)
        .map(|group| described(json!({"GroupId": group, "UserId": cx.account()})))
        .into_iter()
        .collect();
    let answer = json!({
        "IpProtocol": rule.text("IpProtocol"), "IpRanges": list("CidrIp", "CidrIp"),
        "Ipv6Ranges": list("CidrIpv6", "CidrIpv6"), "PrefixListIds": prefixes, "UserIdGroupPairs": groups,
    });
    let port = |property: &str| rule.text(property).and_then(|p| p.parse::<i64>().ok());
    with(with(answer, "FromPort", port("FromPort")), "ToPort", port("ToPort"))
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |rule: &Record| {
        let port = |property: &str| rule.text(property).and_then(|p| p.parse::<i64>().ok()).unwrap_or(-1);
        let item = json!({
            "SecurityGroupRuleId": rule.id, "GroupId": rule.text("GroupId"), "GroupOwnerId": cx.account(),
            "IsEgress": is_egress(rule), "IpProtocol": rule.text("IpProtocol"), "FromPort": port("FromPort"),
            "ToPort": port("ToPort"), "Tags": rule.tag_list(),
        });
        let item = with(item, "CidrIpv4", rule.text("CidrIp"));
        let item = with(item, "CidrIpv6", rule.text("CidrIpv6"));
        let item = with(item, "Description", rule.text("Description"));
        with(
            item,
            "ReferencedGroupInfo",
            peer_group(rule).map(|id| json!({"GroupId": id, "UserId": cx.account()})),
        )
    };
    Ok(RULES.list(cx)?.iter().map(shown).collect())
}
