//! Task definitions: families and their revisions.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::shape::{list, members, text};
use super::{Ecs, invalid};
use crate::records::{now, page, seconds, tags_of};
use crate::service::Call;
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
        // Everything but the tags, which stand last.
        let (create_only, _) = PROPERTIES.split_at(PROPERTIES.len() - 1);
        Schema {
            properties: PROPERTIES,
            create_only,
            attributes: &["TaskDefinitionArn"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let mut input = members(&desired.properties);
        if input.get("family").is_none() {
            input["family"] = desired.generated_name(255).into();
        }
        let made = register(cx, &input, desired)?;
        let arn = text(&made, "taskDefinitionArn").unwrap_or_default().to_owned();
        Ok(Resource::new(arn.clone()).with("TaskDefinitionArn", arn))
    }

    async fn update(&self, cx: &Context, arn: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let ecs = cx.extension::<Ecs>();
        let _held = ecs.hold();
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

/// A container of a definition, by name.
pub fn container<'a>(definition: &'a Value, name: &str) -> Option<&'a Value> {
    list(definition, "containerDefinitions")
        .iter()
        .find(|c| text(c, "name") == Some(name))
}

/// Every container port of a definition.
pub fn ports(definition: &Value) -> Vec<u16> {
    let containers = list(definition, "containerDefinitions").iter();
    containers
        .flat_map(|c| list(c, "portMappings"))
        .filter_map(|m| u16::try_from(super::shape::whole(m.get("containerPort"))?).ok())
        .collect()
}

/// A definition by ARN, `family:revision`, or `family` (its newest active revision).
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
    let desired = Desired {
        stack_name: String::new(),
        stack_id: String::new(),
        logical_id: String::new(),
        properties: json!({"Tags": call.input.get("tags").cloned().unwrap_or_default()}),
        tags: Vec::new(),
        initiated: Default::default(),
        cancel: Default::default(),
    };
    let made = register(cx, &call.input, &desired)?;
    Ok(json!({"taskDefinition": shown(&made), "tags": made["tags"]}))
}

/// Checks and keeps a new revision; gives it in the API's form.
fn register(cx: &Context, input: &Value, desired: &Desired) -> Result<Value, AwsError> {
    let ecs = cx.extension::<Ecs>();
    let _held = ecs.hold();
    let family = text(input, "family")
        .ok_or_else(|| invalid("Family should not be null or empty."))?
        .to_owned();
    if family.is_empty() || !family.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(invalid(
            "Family contains invalid characters. Only letters, numbers, hyphens and underscores.",
        ));
    }
    let containers = list(input, "containerDefinitions");
    if containers.is_empty() {
        return Err(invalid("Container list cannot be empty."));
    }
    let mut normal = Vec::new();
    for container in containers {
        normal.push(checked(container)?);
    }
    let revision = cx.store().get::<i64>(REVISIONS, &family)?.unwrap_or(0) + 1;
    let mut made: Map<String, Value> = input.as_object().cloned().unwrap_or_default();
    made.shift_remove("tags");
    made.insert("containerDefinitions".into(), normal.into());
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
        made.insert(member.into(), value);
    }
    for member in [
        "volumes",
        "placementConstraints",
        "requiresAttributes",
        "compatibilities",
    ] {
        made.entry(member).or_insert_with(|| json!([]));
    }
    for member in ["cpu", "memory"] {
        if let Some(value) = made.get_mut(member).filter(|v| v.is_number()) {
            *value = value.to_string().into();
        }
    }
    let made = Value::Object(made);
    cx.store().put(REVISIONS, &family, &revision)?;
    put(cx, &made)?;
    Ok(made)
}

fn checked(container: &Value) -> Result<Value, AwsError> {
    let mut made = container
        .as_object()
        .cloned()
        .ok_or_else(|| invalid("A container definition is an object."))?;
    for member in ["name", "image"] {
        if text(container, member).is_none_or(str::is_empty) {
            return Err(invalid(format!("Container.{member} should not be null or empty.")));
        }
    }
    if let Some(Value::String(flag)) = made.get("essential") {
        let flag = flag == "true";
        made.insert("essential".into(), flag.into());
    }
    made.entry("essential").or_insert(Value::Bool(true));
    for member in ["environment", "mountPoints", "volumesFrom", "portMappings"] {
        made.entry(member).or_insert_with(|| json!([]));
    }
    if let Some(mappings) = made.get_mut("portMappings").and_then(Value::as_array_mut) {
        for mapping in mappings {
            let Some(port) = super::shape::whole(mapping.get("containerPort")).filter(|p| (1..=65535).contains(p))
            else {
                return Err(invalid("Port mapping: containerPort must be between 1 and 65535."));
            };
            mapping["containerPort"] = port.into();
            mapping["hostPort"] = port.into();
            if mapping.get("protocol").is_none() {
                mapping["protocol"] = "tcp".into();
            }
        }
    }
    let driver = container.get("logConfiguration").and_then(|l| text(l, "logDriver"));
    if let Some(other) = driver.filter(|d| *d != "awslogs") {
        return Err(invalid(format!(
            "The embedded endpoint has the log driver awslogs only, not {other}."
        )));
    }
    Ok(Value::Object(made))
}

pub fn deregister(cx: &Context, name: &str) -> Result<Value, AwsError> {
    let ecs = cx.extension::<Ecs>();
    let _held = ecs.hold();
    let mut record = named(cx, name)?;
    record["status"] = "INACTIVE".into();
    record["deregisteredAt"] = seconds(now());
    put(cx, &record)?;
    Ok(json!({"taskDefinition": shown(&record)}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = named(cx, &call.required("taskDefinition")?)?;
    let mut answer = json!({"taskDefinition": shown(&record)});
    if call.texts("include").iter().any(|i| i == "TAGS") {
        answer["tags"] = record["tags"].clone();
    }
    Ok(answer)
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
    let limit = call.integer("maxResults").unwrap_or(100).clamp(1, 100) as usize;
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(super::with_token(json!({"taskDefinitionArns": arns}), next))
}

pub fn families(cx: &Context) -> Result<Value, AwsError> {
    let found: Vec<String> = cx
        .store()
        .list::<i64>(REVISIONS)?
        .into_iter()
        .map(|(family, _)| family)
        .collect();
    Ok(json!({"families": found}))
}

fn shown(record: &Value) -> Value {
    let mut record = record.as_object().cloned().unwrap_or_default();
    record.shift_remove("tags");
    record.shift_remove("properties");
    Value::Object(record)
}

fn tag_list(desired: &Desired) -> Value {
    let mut tags: indexmap::IndexMap<String, String> = desired.tags.iter().cloned().collect();
    tags.extend(tags_of(desired.properties.get("Tags").unwrap_or(&Value::Null)));
    tags.iter().map(|(k, v)| json!({"key": k, "value": v})).collect()
}

fn put(cx: &Context, record: &Value) -> Result<(), AwsError> {
    let id = format!("{}:{}", text(record, "family").unwrap_or_default(), record["revision"]);
    Ok(cx.store().put(DEFINITIONS, &id, record)?)
}
