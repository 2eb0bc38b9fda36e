//! `AWS::EC2::SecurityGroup`.

use serde_json::{Value, json};

use super::ids::{self, in_use, required};
use super::rule::{self, RULES};
use super::vpc;
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const GROUPS: Records = Records("ec2.security-groups");

pub struct SecurityGroup;

impl RecordType for SecurityGroup {
    const TYPE: &'static str = "AWS::EC2::SecurityGroup";
    const RECORDS: Records = GROUPS;

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
        let mut record = Record::new(ids::new("sg"), desired);
        let no_vpc = || {
            AwsError::new(
                "VPCIdNotSpecified",
                "No default VPC for this user: the group needs a VpcId.",
            )
        };
        let vpc = vpc::named(cx, &record.text("VpcId").ok_or_else(no_vpc)?)?;
        let name = record.text("GroupName").unwrap_or_else(|| desired.generated_name(255));
        if name.starts_with("sg-") {
            return Err(ids::invalid("Group names may not be in the format sg-*"));
        }
        if GROUPS
            .find(cx, |g| {
                g.has("VpcId", &vpc.id) && g.computed("Name").as_deref() == Some(&name)
            })?
            .is_some()
        {
            let reason = format!("The security group '{name}' already exists for VPC '{}'", vpc.id);
            return Err(AwsError::new("InvalidGroup.Duplicate", reason));
        }
        record.computed.insert("Name".into(), name.into());
        // Rules refer to their group, so it has to be there before them; a refused rule takes it along.
        GROUPS.put(cx, &record)?;
        if let Err(refused) = rule::inline(cx, &record) {
            forget(cx, &record.id)?;
            return Err(refused);
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
        rule::inline(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let names = |r: &Record| rule::peer_group(r).as_deref() == Some(&record.id) && !r.has("GroupId", &record.id);
        if let Some(user) = RULES.find(cx, names)? {
            let group = required(&user, "GroupId")?;
            let reason = format!(
                "resource {} has a dependent object: a rule of {group} names it",
                record.id
            );
            return Err(in_use(reason));
        }
        for own in rule::of(cx, &record.id)? {
            RULES.delete(cx, &own.id)?;
        }
        Ok(())
    }
}

pub fn named(cx: &Context, id: &str) -> Result<Record, AwsError> {
    let missing = || {
        AwsError::new(
            "InvalidGroup.NotFound",
            format!("The security group '{id}' does not exist"),
        )
    };
    GROUPS.get(cx, id)?.ok_or_else(missing)
}

/// A group as people know it: its name and its id.
pub fn called(cx: &Context, id: &str) -> String {
    match GROUPS
        .get(cx, id)
        .ok()
        .flatten()
        .and_then(|group| group.computed("Name"))
    {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}

/// Makes a new VPC's default group, with the rules that AWS gives it.
pub fn default_of(cx: &Context, vpc: &str) -> Result<String, AwsError> {
    let properties = json!({"VpcId": vpc, "GroupDescription": "default VPC security group"});
    let mut group = Record::from_properties(ids::new("sg"), properties);
    group.computed.insert("Name".into(), "default".into());
    GROUPS.put(cx, &group)?;
    rule::put(
        cx,
        json!({"GroupId": group.id, "IpProtocol": "-1", "SourceSecurityGroupId": group.id}),
        false,
        "default",
    )?;
    rule::put(
        cx,
        json!({"GroupId": group.id, "IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}),
        true,
        "default",
    )?;
    Ok(group.id)
}

/// Removes a group and its rules, without asking who uses it.
pub fn forget(cx: &Context, id: &str) -> Result<(), AwsError> {
    for own in rule::of(cx, id)? {
        RULES.delete(cx, &own.id)?;
    }
    GROUPS.delete(cx, id).map(drop)
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let rules = RULES.list(cx)?;
    let shown = |group: &Record| {
        let of = |egress: bool| -> Vec<Value> {
            let own = rules
                .iter()
                .filter(|r| r.has("GroupId", &group.id) && rule::is_egress(r) == egress);
            own.map(|rule| rule::permission(cx, rule)).collect()
        };
        json!({
            "GroupId": group.id, "GroupName": group.computed("Name"), "VpcId": group.text("VpcId"),
            "Description": group.text("GroupDescription"), "OwnerId": cx.account(),
            "SecurityGroupArn": cx.arn("ec2", &format!("security-group/{}", group.id)),
            "IpPermissions": of(false), "IpPermissionsEgress": of(true), "Tags": group.tag_list(),
        })
    };
    Ok(GROUPS.list(cx)?.iter().map(shown).collect())
}
