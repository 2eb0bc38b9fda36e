//! Security groups and their rules.

use serde_json::{Value, json};

use super::super::describe::not_found;
use super::super::model::{self, SECURITY_GROUP_RULES, SECURITY_GROUPS, VPCS};
use super::super::rule;
use super::{input, permissions};
use crate::records::Record;
use crate::service::Call;
use crate::{AwsError, Context};

const GROUP: &str = "AWS::EC2::SecurityGroup";

fn rule_type(egress: bool) -> &'static str {
    if egress {
        "AWS::EC2::SecurityGroupEgress"
    } else {
        "AWS::EC2::SecurityGroupIngress"
    }
}

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut properties = input::properties(call, "security-group", &["GroupName", "Description", "VpcId"], &[])?;
    let description = properties.shift_remove("Description").unwrap_or_default();
    properties.insert("GroupDescription".into(), description);
    let tags = properties.get("Tags").cloned();
    let created = cx.create_resource(GROUP, properties.into()).await?;
    Ok(json!({
        "GroupId": created.physical_id, "Tags": tags,
        "SecurityGroupArn": cx.arn("ec2", &format!("security-group/{}", created.physical_id)),
    }))
}

pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group(cx, call)?;
    if group.computed("Name").as_deref() == Some("default") {
        let reason = format!(
            "the specified group: \"{}\" name: \"default\" cannot be deleted by a user",
            group.id
        );
        return Err(AwsError::new("CannotDelete", reason));
    }
    cx.delete_resource(GROUP, &group.id).await?;
    Ok(json!({"Return": true, "GroupId": group.id}))
}

/// Returns the group that `GroupId` names, or `GroupName` in the default VPC.
fn group(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    match (call.text("GroupId"), call.text("GroupName")) {
        (Some(id), _) => model::security_group(cx, &id),
        (None, Some(name)) => {
            let vpc = model::default_vpc(cx)?.map(|vpc| vpc.id);
            let found = SECURITY_GROUPS.find(cx, |group| {
                group.computed("Name").as_ref() == Some(&name) && group.text("VpcId") == vpc
            })?;
            found.ok_or_else(|| not_found("GroupId", &name))
        }
        (None, None) => Err(AwsError::new(
            "MissingParameter",
            "The request must contain the parameter groupName or groupId",
        )),
    }
}

/// Adds rules: all of them, or none.
pub async fn authorize(cx: &Context, call: &Call, egress: bool) -> Result<Value, AwsError> {
    let group = group(cx, call)?;
    let tags = input::tags(call, "security-group-rule")?;
    let mut created = Vec::new();
    for mut rule in permissions::of_call(cx, call, &group, egress)? {
        if !tags.is_empty() {
            rule["Tags"] = tags.clone().into();
        }
        match cx.create_resource(rule_type(egress), rule).await {
            Ok(rule) => created.push(rule.physical_id),
            Err(error) => {
                for id in created {
                    cx.delete_resource(rule_type(egress), &id).await?;
                }
                return Err(error);
            }
        }
    }
    let rules = rule::describe(cx)?.into_iter();
    let shown: Vec<Value> = rules
        .filter(|rule| created.iter().any(|id| rule["SecurityGroupRuleId"] == **id))
        .collect();
    Ok(json!({"Return": true, "SecurityGroupRules": shown}))
}

/// Deletes the rules that the call names by ID, or that equal its permissions. Outside the default VPC each of them must exist (EC2 API
/// Reference, `RevokeSecurityGroupIngress`).
pub async fn revoke(cx: &Context, call: &Call, egress: bool) -> Result<Value, AwsError> {
    let group = group(cx, call)?;
    let ids = call.texts("SecurityGroupRuleIds");
    let own = own_rules(cx, &group, egress)?;
    let (mut revoked, mut unknown) = (Vec::new(), Vec::new());
    for id in &ids {
        let found = own.iter().find(|rule| rule.id == *id);
        revoked.push(found.ok_or_else(|| not_found("SecurityGroupRuleId", id))?.clone());
    }
    let given = if ids.is_empty() {
        permissions::of_call(cx, call, &group, egress)?
    } else {
        Vec::new()
    };
    for properties in given {
        let desired = Record::from_properties("", properties);
        match own.iter().find(|rule| rule::equal(rule, &desired)) {
            Some(found) => revoked.push(found.clone()),
            None => unknown.push(desired),
        }
    }
    let in_default_vpc = VPCS
        .get(cx, &group.text("VpcId").unwrap_or_default())?
        .is_some_and(|vpc| model::is_default(&vpc));
    if let Some(desired) = unknown.first().filter(|_| !in_default_vpc) {
        let reason = format!(
            "The specified rule does not exist in this security group: {}",
            rule::text(desired)
        );
        return Err(AwsError::new("InvalidPermission.NotFound", reason));
    }
    for rule in &revoked {
        cx.delete_resource(rule_type(egress), &rule.id).await?;
    }
    let shown: Vec<Value> = revoked.iter().map(|rule| rule::revoked(rule, egress)).collect();
    let unknown: Vec<Value> = unknown.iter().map(|rule| rule::permission(cx, rule)).collect();
    Ok(json!({"Return": true, "RevokedSecurityGroupRules": shown, "UnknownIpPermissions": unknown}))
}

fn own_rules(cx: &Context, group: &Record, egress: bool) -> Result<Vec<Record>, AwsError> {
    let mut own = rule::of_group(cx, &group.id)?;
    own.retain(|rule| rule::is_egress(rule) == egress);
    Ok(own)
}

pub async fn modify_rules(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group(cx, call)?;
    for update in call.list("SecurityGroupRules") {
        let id = update["SecurityGroupRuleId"].as_str().unwrap_or_default();
        let found = SECURITY_GROUP_RULES
            .get(cx, id)?
            .filter(|rule| rule.has("GroupId", &group.id));
        let egress = rule::is_egress(&found.ok_or_else(|| not_found("SecurityGroupRuleId", id))?);
        let Some(request) = update.get("SecurityGroupRule") else {
            continue;
        };
        let new = permissions::of_request(request, &group, egress)?;
        let change = cx.update_resource(rule_type(egress), id, |properties| {
            properties.retain(|name, _| name == "Tags");
            properties.extend(new);
            Ok(())
        });
        change.await?;
    }
    Ok(json!({"Return": true}))
}

pub async fn describe_rules(cx: &Context, call: &Call, egress: bool) -> Result<Value, AwsError> {
    let group = match (call.text("GroupId"), call.text("GroupName")) {
        (None, None) => None,
        _ => Some(group(cx, call)?),
    };
    let mut changes = Vec::new();
    for change in call.list("SecurityGroupRuleDescriptions") {
        let id = change["SecurityGroupRuleId"].as_str().unwrap_or_default();
        let found = SECURITY_GROUP_RULES
            .get(cx, id)?
            .filter(|rule| rule::is_egress(rule) == egress);
        found.ok_or_else(|| not_found("SecurityGroupRuleId", id))?;
        changes.push((id.to_owned(), change.get("Description").cloned()));
    }
    if let (Some(group), true) = (group, changes.is_empty()) {
        let own = own_rules(cx, &group, egress)?;
        for properties in permissions::of_call(cx, call, &group, egress)? {
            let desired = Record::from_properties("", properties);
            let missing = || {
                let reason = "The specified rule does not exist in this security group.";
                AwsError::new("InvalidPermission.NotFound", reason)
            };
            let found = own
                .iter()
                .find(|rule| rule::equal(rule, &desired))
                .ok_or_else(missing)?;
            changes.push((found.id.clone(), desired.properties.get("Description").cloned()));
        }
    }
    for (id, description) in changes {
        let change = cx.update_resource(rule_type(egress), &id, |properties| {
            properties.shift_remove("Description");
            properties.extend(description.map(|text| ("Description".to_owned(), text)));
            Ok(())
        });
        change.await?;
    }
    Ok(json!({"Return": true}))
}
