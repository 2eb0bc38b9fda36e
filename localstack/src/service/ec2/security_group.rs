//! `AWS::EC2::SecurityGroup`.

use serde_json::{Value, json};

use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{self, NETWORK_INTERFACES, SECURITY_GROUP_RULES, SECURITY_GROUPS, new_id};
use super::rule;
use crate::records::{Record, RecordType, Records, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct SecurityGroup;

impl RecordType for SecurityGroup {
    const TYPE: &'static str = "AWS::EC2::SecurityGroup";
    const RECORDS: Records = SECURITY_GROUPS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "GroupDescription",
                "GroupName",
                "VpcId",
                "SecurityGroupIngress",
                "SecurityGroupEgress",
                "Tags",
            ],
            required: &["GroupDescription"],
            create_only: &["GroupDescription", "GroupName", "VpcId"],
            attributes: &["GroupId", "Id", "VpcId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("sg"), desired);
        let no_vpc = || {
            AwsError::new(
                "VPCIdNotSpecified",
                "No default VPC for this user: the group needs a VpcId.",
            )
        };
        if record.text("GroupDescription").is_none_or(|text| text.is_empty()) {
            let reason = "The request must contain the parameter GroupDescription";
            return Err(AwsError::new("MissingParameter", reason));
        }
        let vpc = match record.text("VpcId") {
            Some(id) => model::vpc(cx, &id)?,
            None => model::default_vpc(cx)?.ok_or_else(no_vpc)?,
        };
        record.properties.insert("VpcId".into(), vpc.id.clone().into());
        let name = record.text("GroupName").unwrap_or_else(|| desired.generated_name(255));
        if name.starts_with("sg-") {
            return Err(invalid_parameter("Group names may not be in the format sg-*"));
        }
        if SECURITY_GROUPS
            .find(cx, |g| {
                g.has("VpcId", &vpc.id) && g.computed("Name").as_deref() == Some(&name)
            })?
            .is_some()
        {
            let reason = format!("The security group '{name}' already exists for VPC '{}'", vpc.id);
            return Err(AwsError::new("InvalidGroup.Duplicate", reason));
        }
        record.computed.insert("Name".into(), name.into());
        // Rules refer to their group, so the group is stored before them, and deleted again when a rule is rejected.
        SECURITY_GROUPS.put(cx, &record)?;
        if let Err(error) = rule::replace_inline(cx, &record) {
            delete(cx, &record.id)?;
            return Err(error);
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("GroupId", record.id.clone())
            .with("Id", record.id.clone())
            .with("VpcId", record.text("VpcId").unwrap_or_default())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        // A template may leave the default VPC out.
        if let Some(vpc) = SECURITY_GROUPS
            .get(cx, &record.id)?
            .and_then(|before| before.text("VpcId"))
        {
            record.properties.insert("VpcId".into(), vpc.into());
        }
        rule::replace_inline(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let names = |r: &Record| rule::peer_group(r).as_deref() == Some(&record.id) && !r.has("GroupId", &record.id);
        if let Some(user) = SECURITY_GROUP_RULES.find(cx, names)? {
            let group = required(&user, "GroupId")?;
            let reason = format!(
                "resource {} has a dependent object: a rule of {group} names it",
                record.id
            );
            return Err(dependency_violation(reason));
        }
        let within = |interface: &Record| texts(interface.properties.get("GroupSet")).contains(&record.id);
        if let Some(user) = NETWORK_INTERFACES.find(cx, within)? {
            return Err(dependency_violation(format!(
                "resource {} has a dependent object: {}",
                record.id, user.id
            )));
        }
        rule::delete_all(cx, &record.id)
    }
}

/// Returns a group's name and ID for messages, or the ID alone when there is no such group.
pub fn display_name(cx: &Context, id: &str) -> String {
    match SECURITY_GROUPS
        .get(cx, id)
        .ok()
        .flatten()
        .and_then(|group| group.computed("Name"))
    {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}

/// Returns the name of a group.
pub fn name(cx: &Context, id: &str) -> Option<String> {
    SECURITY_GROUPS.get(cx, id).ok()??.computed("Name")
}

/// Creates a new VPC's default group with AWS's default rules, and returns its ID.
pub fn create_default(cx: &Context, vpc: &str) -> Result<String, AwsError> {
    let properties = json!({"VpcId": vpc, "GroupDescription": "default VPC security group"});
    let mut group = Record::from_properties(new_id("sg"), properties);
    group.computed.insert("Name".into(), "default".into());
    SECURITY_GROUPS.put(cx, &group)?;
    rule::put(
        cx,
        json!({"GroupId": group.id, "IpProtocol": "-1", "SourceSecurityGroupId": group.id}),
        false,
        "default",
    )?;
    rule::put_allow_all_egress(cx, &group.id, "default")?;
    Ok(group.id)
}

/// Deletes a group and its rules, even when other resources use it.
pub fn delete(cx: &Context, id: &str) -> Result<(), AwsError> {
    rule::delete_all(cx, id)?;
    SECURITY_GROUPS.delete(cx, id).map(drop)
}

/// Joins the permissions of one protocol and one range of ports, as the description of a group shows them.
fn grouped(permissions: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for permission in permissions {
        let is_same = |other: &&mut Value| {
            ["IpProtocol", "FromPort", "ToPort"]
                .iter()
                .all(|member| other[*member] == permission[*member])
        };
        let Some(same) = all.iter_mut().find(is_same) else {
            all.push(permission);
            continue;
        };
        for member in ["IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"] {
            if let (Some(list), Some(more)) = (same[member].as_array_mut(), permission[member].as_array()) {
                list.extend(more.iter().cloned());
            }
        }
    }
    all
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let mut rules = SECURITY_GROUP_RULES.list(cx)?;
    rules.sort_by_key(|rule| rule.created);
    let shown = |group: &Record| {
        let of = |egress: bool| {
            let own = rules
                .iter()
                .filter(|r| r.has("GroupId", &group.id) && rule::is_egress(r) == egress);
            grouped(own.map(|rule| rule::permission(cx, rule)))
        };
        json!({
            "GroupId": group.id, "GroupName": group.computed("Name"), "VpcId": group.text("VpcId"),
            "Description": group.text("GroupDescription"), "OwnerId": cx.account(),
            "SecurityGroupArn": cx.arn("ec2", &format!("security-group/{}", group.id)),
            "IpPermissions": of(false), "IpPermissionsEgress": of(true), "Tags": group.tag_list(),
        })
    };
    Ok(SECURITY_GROUPS.list(cx)?.iter().map(shown).collect())
}
