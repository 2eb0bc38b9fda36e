//! Task definitions: families and their revisions.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::definition_rules;
use super::error::invalid_parameter;
use super::members::{integer, list, lower_camel, text, with_next_token};
use super::state::EcsState;
use crate::records::{now, page, seconds, tags_of};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

const DEFINITIONS: &str = "ecs.task-definitions";
const REVISIONS: &str = "ecs.revisions";

pub struct TaskDefinition;

#[async_trait]
impl ResourceType for TaskDefinition {
    fn name(&self) -> &'static str {
        "AWS::ECS::TaskDefinition"
    }

    fn schema(&self) -> Schema {
        const PROPERTIES: &[&str] = &[
            "Family",
            "ContainerDefinitions",
            "Cpu",
            "Memory",
            "EnableFaultInjection",
            "EphemeralStorage",
            "ExecutionRoleArn",
            "InferenceAccelerators",
            "IpcMode",
            "NetworkMode",
            "PidMode",
            "PlacementConstraints",
            "ProxyConfiguration",
            "RequiresCompatibilities",
            "RuntimePlatform",
            "TaskRoleArn",
            "Volumes",
            "Tags",
        ];
        Schema {
            properties: PROPERTIES,
            // Everything except the tags, which are last.
            create_only: PROPERTIES.split_last().map_or(&[], |(_, rest)| rest),
            attributes: &["TaskDefinitionArn"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let mut input = lower_camel(&desired.properties);
        if input.get("family").is_none() {
            input["family"] = desired.generated_name(255).into();
        }
        let registered = register(cx, &input, desired)?;
        let arn = text(&registered, "taskDefinitionArn").unwrap_or_default().to_owned();
        Ok(Resource::new(arn.clone()).with("TaskDefinitionArn", arn))
    }

    async fn update(&self, cx: &Context, arn: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let ecs = cx.extension::<EcsState>();
        let _lock = ecs.lock();
        let mut record = named(cx, arn)?;
        record["tags"] = tag_list(desired);
        record["properties"] = desired.properties.clone();
        put(cx, &record)?;
        Ok(Resource::new(arn).with("TaskDefinitionArn", arn))
    }

    async fn delete(&self, cx: &Context, arn: &str, _properties: &Value) -> Result<(), Failure> {
        if named(cx, arn).is_ok() {
            deregister(cx, arn)?;
        }
        Ok(())
    }

    async fn read(&self, cx: &Context, arn: &str) -> Result<Option<Value>, Failure> {
        let Ok(record) = named(cx, arn) else { return Ok(None) };
        if text(&record, "status") != Some("ACTIVE") {
            return Ok(None);
        }
        Ok(record.get("properties").filter(|p| p.is_object()).cloned())
    }
}

/// Returns a container of a definition, by name.
pub fn container<'a>(definition: &'a Value, name: &str) -> Option<&'a Value> {
    list(definition, "containerDefinitions")
        .iter()
        .find(|c| text(c, "name") == Some(name))
}

/// Returns true if any container of a definition has a health check.
pub fn has_health_checks(definition: &Value) -> bool {
    list(definition, "containerDefinitions")
        .iter()
        .any(|c| c.get("healthCheck").is_some())
}

/// Returns all container ports of a definition.
pub fn ports(definition: &Value) -> Vec<u16> {
    let containers = list(definition, "containerDefinitions").iter();
    containers
        .flat_map(|c| list(c, "portMappings"))
        .filter_map(|m| u16::try_from(integer(m.get("containerPort"))?).ok())
        .collect()
}

/// Returns a definition by ARN, `family:revision` or `family` (its newest active revision).
///
/// # Errors
/// `ClientException` if there is no such definition.
pub fn named(cx: &Context, name: &str) -> Result<Value, AwsError> {
    let short = name.rsplit('/').next().unwrap_or(name);
    let missing = || AwsError::new("ClientException", "Unable to describe task definition.");
    if short.contains(':') {
        return cx.store().get(DEFINITIONS, short)?.ok_or_else(missing);
    }
    let all = cx.store().list::<Value>(DEFINITIONS)?.into_iter().map(|(_, d)| d);
    all.filter(|d| text(d, "family") == Some(short) && text(d, "status") == Some("ACTIVE"))
        .max_by_key(|d| d["revision"].as_i64())
        .ok_or_else(missing)
}

pub fn register_call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tags = json!({"Tags": call.input.get("tags").cloned().unwrap_or_default()});
    let desired = Desired::outside_stacks(tags);
    let registered = register(cx, &call.input, &desired)?;
    Ok(json!({"taskDefinition": description(&registered), "tags": registered["tags"]}))
}

/// Checks and stores a new revision, and returns it in the API's form.
fn register(cx: &Context, input: &Value, desired: &Desired) -> Result<Value, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let family = text(input, "family")
        .ok_or_else(|| invalid_parameter("Family should not be null or empty."))?
        .to_owned();
    if family.is_empty() || !family.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(invalid_parameter(
            "Family contains invalid characters. Allowed are a-z, A-Z, 0-9, hyphens and underscores.",
        ));
    }
    let containers = list(input, "containerDefinitions");
    if containers.is_empty() {
        return Err(invalid_parameter("Container list cannot be empty."));
    }
    let containers: Result<Vec<Value>, AwsError> = containers.iter().map(normalize_container).collect();
    let containers = containers?;
    definition_rules::check(input, &containers)?;
    let revision = cx.store().get::<i64>(REVISIONS, &family)?.unwrap_or(0) + 1;
    let mut definition: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    definition.shift_remove("tags");
    definition.insert("containerDefinitions".into(), containers.into());
    for (member, value) in [
        (
            "taskDefinitionArn",
            cx.arn("ecs", &format!("task-definition/{family}:{revision}")).into(),
        ),
        ("revision", json!(revision)),
        ("status", "ACTIVE".into()),
        ("registeredAt", seconds(now())),
        ("registeredBy", format!("arn:aws:iam::{}:root", cx.account()).into()),
        ("tags", tag_list(desired)),
        (
            "properties",
            if desired.logical_id.is_empty() {
                Value::Null
            } else {
                desired.properties.clone()
            },
        ),
    ] {
        definition.insert(member.into(), value);
    }
    for member in [
        "volumes",
        "placementConstraints",
        "requiresAttributes",
        "compatibilities",
    ] {
        definition.entry(member).or_insert_with(|| json!([]));
    }
    for member in ["cpu", "memory"] {
        if let Some(value) = definition.get_mut(member).filter(|v| v.is_number()) {
            *value = value.to_string().into();
        }
    }
    let definition = Value::Object(definition);
    cx.store().transaction(|| -> Result<_, AwsError> {
        cx.store().put(REVISIONS, &family, &revision)?;
        put(cx, &definition)?;
        desired
            .initiated
            .report(text(&definition, "taskDefinitionArn").unwrap_or_default())?;
        Ok(definition)
    })
}

/// Checks a container definition and fills in the defaults of ECS.
fn normalize_container(container: &Value) -> Result<Value, AwsError> {
    let mut normal = container
        .as_object()
        .cloned()
        .ok_or_else(|| invalid_parameter("A container definition must be an object."))?;
    for member in ["name", "image"] {
        if text(container, member).is_none_or(str::is_empty) {
            let message = format!("Container.{member} should not be null or empty.");
            return Err(AwsError::new("ClientException", message));
        }
    }
    if let Some(Value::String(flag)) = normal.get("essential") {
        let flag = flag == "true";
        normal.insert("essential".into(), flag.into());
    }
    normal.entry("essential").or_insert(Value::Bool(true));
    for member in ["environment", "mountPoints", "volumesFrom", "portMappings"] {
        normal.entry(member).or_insert_with(|| json!([]));
    }
    if let Some(mappings) = normal.get_mut("portMappings").and_then(Value::as_array_mut) {
        for mapping in mappings {
            let Some(port) = integer(mapping.get("containerPort")).filter(|p| (1..=65535).contains(p)) else {
                return Err(invalid_parameter(
                    "Port mapping: containerPort must be between 1 and 65535.",
                ));
            };
            mapping["containerPort"] = port.into();
            if mapping
                .get("hostPort")
                .is_none_or(|host| integer(Some(host)) == Some(0))
            {
                mapping["hostPort"] = port.into();
            }
            if mapping.get("protocol").is_none() {
                mapping["protocol"] = "tcp".into();
            }
        }
    }
    Ok(Value::Object(normal))
}

pub fn deregister(cx: &Context, name: &str) -> Result<Value, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let short = name.rsplit('/').next().unwrap_or(name);
    let client = |message: String| AwsError::new("ClientException", message);
    let (_, revision) = short
        .split_once(':')
        .ok_or_else(|| client("Revision is missing.".into()))?;
    if revision.parse::<u32>().is_err() {
        return Err(client(format!("Invalid revision number. Number: {revision}")));
    }
    let mut record = named(cx, name)?;
    record["status"] = "INACTIVE".into();
    record["deregisteredAt"] = seconds(now());
    put(cx, &record)?;
    Ok(json!({"taskDefinition": description(&record)}))
}

/// `DeleteTaskDefinitions`: of inactive revisions only.
pub fn delete_all(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for name in call.texts("taskDefinitions") {
        let short = name.rsplit('/').next().unwrap_or(&name);
        let reason = match cx.store().get::<Value>(DEFINITIONS, short)? {
            None if !short.contains(':') => {
                "The specified task definition identifier is invalid. Specify a valid name or ARN and try again."
            }
            None => {
                "The specified task definition does not exist. Specify a valid account, family, revision and try again."
            }
            Some(record) if text(&record, "status") == Some("ACTIVE") => {
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
            }
            Some(mut record) => {
                // It stays for the descriptions of its tasks.
                record["status"] = "DELETE_IN_PROGRESS".into();
                put(cx, &record)?;
                deleted.push(description(&record));
                continue;
            }
        };
        failures.push(json!({"arn": name, "reason": reason}));
    }
    Ok(json!({"taskDefinitions": deleted, "failures": failures}))
}

/// Changes the tags of a revision.
pub fn retag(
    cx: &Context,
    arn: &str,
    change: impl FnOnce(&mut indexmap::IndexMap<String, String>),
) -> Result<(), AwsError> {
    let mut record = named(cx, arn)?;
    let mut tags = tags_of(&record["tags"]);
    change(&mut tags);
    record["tags"] = super::members::tag_list(&tags);
    put(cx, &record)
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = named(cx, &call.required("taskDefinition")?)?;
    let mut response = json!({"taskDefinition": description(&record)});
    if call.texts("include").iter().any(|i| i == "TAGS") {
        response["tags"] = record["tags"].clone();
    }
    Ok(response)
}

pub fn list_arns(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let status = call.text("status").unwrap_or_else(|| "ACTIVE".into());
    let prefix = call.text("familyPrefix");
    let mut found: Vec<Value> = cx
        .store()
        .list::<Value>(DEFINITIONS)?
        .into_iter()
        .map(|(_, d)| d)
        .collect();
    found.retain(|d| {
        text(d, "status") == Some(&status) && prefix.as_deref().is_none_or(|p| text(d, "family") == Some(p))
    });
    found.sort_by_key(|d| (text(d, "family").map(str::to_owned), d["revision"].as_i64()));
    if call.text("sort").as_deref() == Some("DESC") {
        found.reverse();
    }
    let arns: Vec<Value> = found.iter().map(|d| d["taskDefinitionArn"].clone()).collect();
    let limit = call.limit("maxResults", 100, 1..=100);
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(with_next_token(json!({"taskDefinitionArns": arns}), next))
}

/// `ListTaskDefinitionFamilies`: those with an active revision by default.
pub fn families(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = ["familyPrefix", "status", "nextToken", "maxResults"];
    only(call, "InvalidParameterException", &members)?;
    let prefix = call.text("familyPrefix").unwrap_or_default();
    let active: HashSet<String> = cx
        .store()
        .list::<Value>(DEFINITIONS)?
        .into_iter()
        .filter(|(_, definition)| text(definition, "status") == Some("ACTIVE"))
        .filter_map(|(_, definition)| text(&definition, "family").map(str::to_owned))
        .collect();
    let status = call.text("status");
    let families = cx.store().list::<i64>(REVISIONS)?.into_iter().map(|(family, _)| family);
    let found: Vec<String> = families
        .filter(|family| family.starts_with(&prefix))
        .filter(|family| match status.as_deref() {
            Some("ALL") => true,
            Some("INACTIVE") => !active.contains(family),
            _ => active.contains(family),
        })
        .collect();
    let limit = call.limit("maxResults", 100, 1..=100);
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    Ok(with_next_token(json!({"families": found}), next))
}

fn description(record: &Value) -> Value {
    let mut record = record.as_object().cloned().unwrap_or_default();
    record.shift_remove("tags");
    record.shift_remove("properties");
    Value::Object(record)
}

fn tag_list(desired: &Desired) -> Value {
    let mut tags: indexmap::IndexMap<String, String> = desired.tags.iter().cloned().collect();
    tags.extend(tags_of(desired.properties.get("Tags").unwrap_or(&Value::Null)));
    super::members::tag_list(&tags)
}

fn put(cx: &Context, record: &Value) -> Result<(), AwsError> {
    let id = format!("{}:{}", text(record, "family").unwrap_or_default(), record["revision"]);
    Ok(cx.store().put(DEFINITIONS, &id, record)?)
}
