//! Security-group rules: inline rules of a group, and rules that are resources.

use serde_json::{Value, json};

use super::cidr;
use super::describe::with;
use super::error::{invalid_parameter, required};
use super::model::{self, SECURITY_GROUP_RULES, new_id};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The properties that name the other side of a rule.
const PEERS: [&str; 6] = [
    "SourceSecurityGroupId",
    "DestinationSecurityGroupId",
    "CidrIp",
    "CidrIpv6",
    "SourcePrefixListId",
    "DestinationPrefixListId",
];

/// The properties of `AWS::EC2::SecurityGroupIngress`; all except the last one replace the rule when they change.
const INGRESS_PROPERTIES: &[&str] = &[
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
    "Description",
];

/// The properties of `AWS::EC2::SecurityGroupEgress`, in the same order.
const EGRESS_PROPERTIES: &[&str] = &[
    "GroupId",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "CidrIpv6",
    "DestinationPrefixListId",
    "DestinationSecurityGroupId",
    "Description",
];

/// "Inbound or outbound rules per security group" (Amazon VPC User Guide, "Amazon VPC quotas").
const MAX_RULES: usize = 60;

/// A rule that is a resource in a template.
pub struct RuleResource<const EGRESS: bool>;

pub type Ingress = RuleResource<false>;
pub type Egress = RuleResource<true>;

impl<const EGRESS: bool> RecordType for RuleResource<EGRESS> {
    const TYPE: &'static str = if EGRESS {
        "AWS::EC2::SecurityGroupEgress"
    } else {
        "AWS::EC2::SecurityGroupIngress"
    };
    const RECORDS: Records = SECURITY_GROUP_RULES;

    fn schema() -> Schema {
        let (properties, required): (_, &[_]) = if EGRESS {
            (EGRESS_PROPERTIES, &["GroupId", "IpProtocol"])
        } else {
            (INGRESS_PROPERTIES, &["IpProtocol"])
        };
        Schema {
            properties,
            required,
            create_only: properties.split_last().map_or(&[], |(_, rest)| rest),
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut rule = Record::new(new_id("sgr"), desired);
        without_stack_tags(&mut rule);
        check(cx, &mut rule, EGRESS)?;
        let group = rule.text("GroupId").unwrap_or_default();
        let others = of_group(cx, &group)?
            .into_iter()
            .filter(|other| is_egress(other) == EGRESS);
        if others.count() >= MAX_RULES {
            let reason = "The maximum number of rules per security group has been reached.";
            return Err(AwsError::new("RulesPerSecurityGroupLimitExceeded", reason));
        }
        Ok(rule)
    }

    fn update(cx: &Context, rule: &mut Record) -> Result<(), AwsError> {
        without_stack_tags(rule);
        check(cx, rule, EGRESS)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

/// Removes the stack's tags, which are not set on rules.
fn without_stack_tags(rule: &mut Record) {
    let inherited = std::mem::take(&mut rule.inherited);
    rule.tags.retain(|key, _| !inherited.contains(key));
}

/// Returns the ingress and egress rules of a group.
pub fn of_group(cx: &Context, group: &str) -> Result<Vec<Record>, AwsError> {
    Ok(SECURITY_GROUP_RULES
        .list(cx)?
        .into_iter()
        .filter(|rule| rule.has("GroupId", group))
        .collect())
}

/// Deletes the rules of a group.
pub fn delete_all(cx: &Context, group: &str) -> Result<(), AwsError> {
    for rule in of_group(cx, group)? {
        SECURITY_GROUP_RULES.delete(cx, &rule.id)?;
    }
    Ok(())
}

/// Replaces the inline rules of a group by those of its properties. When one is rejected, the old rules stay.
pub fn replace_inline(cx: &Context, group: &Record) -> Result<(), AwsError> {
    let inline = || -> Result<Vec<Record>, AwsError> {
        let mut rules = of_group(cx, &group.id)?;
        rules.retain(|rule| rule.computed("Inline").is_some());
        Ok(rules)
    };
    let old = inline()?;
    for rule in &old {
        SECURITY_GROUP_RULES.delete(cx, &rule.id)?;
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
            // Without egress rules in the template, a group has the default rule that allows all outbound traffic.
            if egress && listed.is_empty() {
                put_allow_all_egress(cx, &group.id, "inline")?;
            }
        }
        Ok(())
    };
    put_all().inspect_err(|_| {
        for rule in inline().unwrap_or_default() {
            SECURITY_GROUP_RULES.delete(cx, &rule.id).ok();
        }
        for rule in &old {
            SECURITY_GROUP_RULES.put(cx, rule).ok();
        }
    })
}

/// Stores the rule that allows all outbound traffic of a group.
pub fn put_allow_all_egress(cx: &Context, group: &str, origin: &str) -> Result<(), AwsError> {
    let rule = json!({"GroupId": group, "IpProtocol": "-1", "CidrIp": "0.0.0.0/0"});
    put(cx, rule, true, origin)
}

/// Checks and stores one rule that belongs to a group's own resource.
pub fn put(cx: &Context, properties: Value, egress: bool, origin: &str) -> Result<(), AwsError> {
    let mut rule = Record::from_properties(new_id("sgr"), properties);
    rule.computed.insert("Inline".into(), origin.into());
    check(cx, &mut rule, egress)?;
    SECURITY_GROUP_RULES.put(cx, &rule)
}

pub fn is_egress(rule: &Record) -> bool {
    rule.computed.get("Egress") == Some(&Value::Bool(true))
}

/// Returns the security group on the other side, if the rule names one.
pub fn peer_group(rule: &Record) -> Option<String> {
    rule.text("SourceSecurityGroupId")
        .or(rule.text("DestinationSecurityGroupId"))
}

/// Returns true if the rule applies to TCP on this port.
pub fn covers_tcp(rule: &Record, port: u16) -> bool {
    match rule.text("IpProtocol").as_deref() {
        Some("-1" | "all") => true,
        Some("tcp" | "6") => {
            let edge = |property: &str, or: i64| rule.text(property).and_then(|p| p.parse().ok()).unwrap_or(or);
            (edge("FromPort", 0)..=edge("ToPort", 65_535)).contains(&i64::from(port))
        }
        _ => false,
    }
}

fn check(cx: &Context, rule: &mut Record, egress: bool) -> Result<(), AwsError> {
    rule.computed.insert("Egress".into(), egress.into());
    let group = model::security_group(cx, &required(rule, "GroupId")?)?;
    if let Some(peer) = peer_group(rule)
        && model::security_group(cx, &peer)?.text("VpcId") != group.text("VpcId")
    {
        let reason = format!(
            "You have specified two resources that belong to different networks: {} and {peer}",
            group.id
        );
        return Err(AwsError::new("InvalidGroup.NotFound", reason));
    }
    if let Some(block) = rule.text("CidrIp") {
        cidr::parse(&block).map_err(|_| invalid_parameter(format!("CIDR block {block} is malformed")))?;
    }
    let peers: Vec<&str> = PEERS.into_iter().filter(|peer| rule.text(peer).is_some()).collect();
    if peers.len() != 1 {
        return Err(invalid_parameter(format!(
            "A rule of {} must name exactly one peer, not {}.",
            group.id,
            peers.len()
        )));
    }
    let protocol = required(rule, "IpProtocol")?;
    if matches!(protocol.as_str(), "tcp" | "udp" | "6" | "17") {
        let port = |property: &str| {
            required(rule, property)?
                .parse::<i64>()
                .map_err(|_| invalid_parameter(format!("{property} must be a number")))
        };
        let (from, to) = (port("FromPort")?, port("ToPort")?);
        if !(0..=65_535).contains(&from) || to > 65_535 || from > to {
            return Err(invalid_parameter(format!("Invalid TCP/UDP port range ({from}:{to})")));
        }
    }
    for other in of_group(cx, &group.id)?.iter().filter(|other| other.id != rule.id) {
        // A default rule that allows everything may be declared again.
        if is_egress(other) == egress && equal(other, rule) && other.computed("Inline").as_deref() != Some("default") {
            let reason = format!("the specified rule \"{}, ALLOW\" already exists", text(rule));
            return Err(AwsError::new("InvalidPermission.Duplicate", reason));
        }
    }
    Ok(())
}

/// Returns true if two rules of a group and direction permit the same.
pub fn equal(one: &Record, other: &Record) -> bool {
    text(one) == text(other)
}

/// Returns the rule as EC2's errors write it.
pub fn text(rule: &Record) -> String {
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

/// Returns the rule as `DescribeSecurityGroups` shows it.
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
    let permission = json!({
        "IpProtocol": rule.text("IpProtocol"), "IpRanges": list("CidrIp", "CidrIp"),
        "Ipv6Ranges": list("CidrIpv6", "CidrIpv6"), "PrefixListIds": prefixes, "UserIdGroupPairs": groups,
    });
    let port = |property: &str| rule.text(property).and_then(|p| p.parse::<i64>().ok());
    with(with(permission, "FromPort", port("FromPort")), "ToPort", port("ToPort"))
}

/// Returns the rule as the answer of a revocation shows it.
pub fn revoked(rule: &Record, egress: bool) -> Value {
    let port = |property: &str| rule.text(property).and_then(|p| p.parse::<i64>().ok());
    let prefix_list = rule.text("SourcePrefixListId").or(rule.text("DestinationPrefixListId"));
    json!({
        "SecurityGroupRuleId": rule.id, "GroupId": rule.text("GroupId"), "IsEgress": egress,
        "IpProtocol": rule.text("IpProtocol"), "FromPort": port("FromPort"), "ToPort": port("ToPort"),
        "CidrIpv4": rule.text("CidrIp"), "CidrIpv6": rule.text("CidrIpv6"), "PrefixListId": prefix_list,
        "ReferencedGroupId": peer_group(rule), "Description": rule.text("Description"),
    })
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
        let prefix_list = rule.text("SourcePrefixListId").or(rule.text("DestinationPrefixListId"));
        let item = with(item, "PrefixListId", prefix_list);
        with(
            item,
            "ReferencedGroupInfo",
            peer_group(rule).map(|id| json!({"GroupId": id, "UserId": cx.account()})),
        )
    };
    let mut rules = SECURITY_GROUP_RULES.list(cx)?;
    rules.sort_by_key(|rule| rule.created);
    Ok(rules.iter().map(shown).collect())
}
