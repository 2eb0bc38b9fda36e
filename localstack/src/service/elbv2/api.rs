//! The operations that create and delete: each translates its input to the properties of a resource type.

use serde_json::{Map, Value, json};

use super::model::{self, LISTENERS, LOAD_BALANCERS, RULES, TARGET_GROUPS, text};
use super::{describe, sync};
use crate::records::{Record, Records, WriteLock, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context};

const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";

fn properties(call: &Call) -> Map<String, Value> {
    let mut properties = call.input.as_object().cloned().unwrap_or_default();
    properties.shift_remove("MutualAuthentication");
    // Terraform sends members that its configuration leaves out as empty text, which AWS takes as absent.
    properties.retain(|_, value| *value != "");
    properties
}

pub async fn create_load_balancer(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = properties(call);
    check_subnets(cx, call).await?;
    let created = cx.create_resource(LOAD_BALANCER, properties.into()).await?;
    let record = model::load_balancer(cx, &created.physical_id)?;
    Ok(json!({"LoadBalancers": describe::shown_balancers(cx, &[record]).await?}))
}

/// Checks that the subnets exist and are in different zones (Elastic Load Balancing API, `CreateLoadBalancer`).
async fn check_subnets(cx: &Context, call: &Call) -> Result<(), AwsError> {
    let mappings = call.list("SubnetMappings");
    let mapped = mappings.iter().filter_map(|mapping| text(mapping, "SubnetId"));
    let ids: Vec<String> = call.texts("Subnets").into_iter().chain(mapped).collect();
    let known = describe::subnets(cx).await;
    let mut zones = Vec::new();
    for id in ids {
        let Some(subnet) = known.iter().find(|subnet| subnet["SubnetId"] == id) else {
            let message = format!("The subnet ID '{id}' does not exist");
            return Err(AwsError::new("SubnetNotFound", message));
        };
        let zone = &subnet["AvailabilityZone"];
        if zones.contains(&zone) {
            let message = "A load balancer cannot be attached to multiple subnets in the same Availability Zone";
            return Err(AwsError::new("InvalidConfigurationRequest", message));
        }
        zones.push(zone);
    }
    Ok(())
}

pub async fn create_target_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = properties(call);
    for (member, message) in [
        ("Protocol", "A protocol must be specified"),
        ("Port", "A port must be specified"),
        ("VpcId", "A VPC ID must be specified"),
    ] {
        call.text(member).ok_or_else(|| AwsError::validation(message))?;
    }
    if cx
        .call("ec2", "DescribeVpcs", json!({"VpcIds": [call.text("VpcId")]}))
        .await
        .is_err()
    {
        let message = format!("The VPC ID '{}' is not found", call.text("VpcId").unwrap_or_default());
        return Err(AwsError::validation(message));
    }
    let created = cx.create_resource(TARGET_GROUP, properties.into()).await?;
    let record = model::target_group(cx, &created.physical_id)?;
    Ok(json!({"TargetGroups": [describe::target_group(cx, &record)?]}))
}

pub async fn create_listener(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    for (member, message) in [
        ("Protocol", "A listener protocol must be specified"),
        ("Port", "A listener port must be specified"),
    ] {
        call.text(member).ok_or_else(|| AwsError::validation(message))?;
    }
    let created = cx.create_resource(LISTENER, properties(call).into()).await?;
    let record = model::listener(cx, &created.physical_id)?;
    Ok(json!({"Listeners": [describe::listener(&record)]}))
}

pub async fn create_rule(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let created = cx.create_resource(RULE, properties(call).into()).await?;
    let record = model::rule(cx, &created.physical_id)?;
    Ok(json!({"Rules": [describe::rule(&record)]}))
}

/// Succeeds for a target group that does not exist, as AWS does.
pub async fn delete_target_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    cx.delete_resource(TARGET_GROUP, &call.required("TargetGroupArn")?)
        .await?;
    Ok(json!({}))
}

pub async fn delete_listener(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let listener = model::listener(cx, &call.required("ListenerArn")?)?;
    cx.delete_resource(LISTENER, &listener.id).await?;
    Ok(json!({}))
}

pub async fn delete_rule(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("RuleArn")?;
    if arn.ends_with("/default") {
        let message = format!("Default rule '{arn}' cannot be deleted");
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    let rule = model::rule(cx, &arn)?;
    cx.delete_resource(RULE, &rule.id).await?;
    Ok(json!({}))
}

/// Sets the priorities of rules, all of them or none.
pub fn set_rule_priorities(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut changed: Vec<Record> = Vec::new();
    {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        for pair in call.list("RulePriorities") {
            let mut rule = model::rule(cx, &text(&pair, "RuleArn").unwrap_or_default())?;
            rule.properties
                .insert("Priority".into(), pair.get("Priority").cloned().unwrap_or_default());
            changed.push(rule);
        }
        let mut all = RULES.list(cx)?;
        all.retain(|rule| !changed.iter().any(|one| one.id == rule.id));
        all.extend(changed.iter().cloned());
        for rule in &changed {
            let priority = rule.text("Priority");
            let same = |other: &&Record| {
                other.text("ListenerArn") == rule.text("ListenerArn") && other.text("Priority") == priority
            };
            if all.iter().filter(same).count() > 1 {
                let message = format!("Priority '{}' is currently in use", priority.unwrap_or_default());
                return Err(AwsError::new("PriorityInUse", message));
            }
        }
        for rule in &changed {
            RULES.put(cx, rule)?;
        }
    }
    sync::apply(cx)?;
    Ok(json!({"Rules": changed.iter().map(describe::rule).collect::<Vec<_>>()}))
}

pub async fn set_security_groups(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let groups = call.texts("SecurityGroups");
    let known = cx
        .call("ec2", "DescribeSecurityGroups", json!({"GroupIds": groups}))
        .await;
    known.map_err(|error| AwsError::new("InvalidSecurityGroup", error.message))?;
    set(cx, call, &["SecurityGroups"]).await?;
    Ok(json!({ "SecurityGroupIds": groups }))
}

pub async fn set_subnets(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    check_subnets(cx, call).await?;
    let record = set(cx, call, &["Subnets", "SubnetMappings"]).await?;
    let shown = describe::shown_balancers(cx, &[record]).await?;
    Ok(json!({"AvailabilityZones": shown.first().and_then(|one| one.get("AvailabilityZones"))}))
}

/// Replaces properties of a load balancer by the members of a call.
async fn set(cx: &Context, call: &Call, members: &[&str]) -> Result<Record, AwsError> {
    let balancer = model::load_balancer(cx, &call.required("LoadBalancerArn")?)?;
    let update = cx.update_resource(LOAD_BALANCER, &balancer.id, |properties| {
        for member in members {
            properties.shift_remove(*member);
            if let Some(value) = call.input.get(*member) {
                properties.insert((*member).into(), value.clone());
            }
        }
        Ok(())
    });
    update.await?;
    model::load_balancer(cx, &balancer.id)
}

pub fn add_tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tags = tags_of(&call.list("Tags").into());
    change_tags(cx, call, |record| {
        for (key, value) in &tags {
            record.inherited.retain(|inherited| inherited != key);
            record.tags.insert(key.clone(), value.clone());
        }
    })
}

pub fn remove_tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let keys = call.texts("TagKeys");
    change_tags(cx, call, |record| record.tags.retain(|key, _| !keys.contains(key)))
}

/// Finds a record by its ARN.
type Find = fn(&Context, &str) -> Result<Record, AwsError>;

fn change_tags(cx: &Context, call: &Call, apply: impl Fn(&mut Record)) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut changed: Vec<(Records, Record)> = Vec::new();
    for arn in texts(call.input.get("ResourceArns")) {
        let kinds: [(&str, Records, Find); 4] = [
            (":loadbalancer/", LOAD_BALANCERS, model::load_balancer),
            (":targetgroup/", TARGET_GROUPS, model::target_group),
            (":listener/", LISTENERS, model::listener),
            (":listener-rule/", RULES, model::rule),
        ];
        let kind = kinds.into_iter().find(|(part, ..)| arn.contains(part));
        let invalid = || AwsError::validation(format!("'{arn}' is not a valid resource ARN"));
        let (_, records, find) = kind.ok_or_else(invalid)?;
        let mut record = find(cx, &arn)?;
        apply(&mut record);
        changed.push((records, record));
    }
    cx.store().transaction(|| {
        for (records, record) in changed {
            records.put(cx, &record)?;
        }
        Ok(json!({}))
    })
}
