//! Tags of clusters, services, tasks and task definitions.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::tag_list;
use super::model::{self, CLUSTERS};
use super::state::EcsState;
use super::task_definition;
use crate::records::{tags_of, texts};
use crate::service::Call;
use crate::service::input::{only, retag};
use crate::{AwsError, Context};

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("resourceArn")?;
    let name = |n: usize| arn.split('/').nth(n).unwrap_or_default();
    let found = match kind(&arn) {
        "cluster" => model::cluster(cx, Some(&arn))?.tags,
        "service" => model::service(cx, name(1), name(2))?.ok_or_else(missing)?.tags,
        "task" => model::task(cx, name(2))?.ok_or_else(missing)?.tags,
        "task-definition" => return Ok(json!({"tags": task_definition::named(cx, &arn)?["tags"]})),
        _ => return Err(missing()),
    };
    Ok(json!({"tags": tag_list(&found)}))
}

/// `TagResource` and `UntagResource`.
pub fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameterException", &["resourceArn", "tags", "tagKeys"])?;
    let arn = call.required("resourceArn")?;
    let name = |n: usize| arn.split('/').nth(n).unwrap_or_default();
    let (add, remove) = (tags_of(&call.input["tags"]), texts(call.input.get("tagKeys")));
    let apply = |tags: &mut IndexMap<String, String>| {
        tags.extend(add.clone());
        tags.retain(|key, _| !remove.contains(key));
    };
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    match kind(&arn) {
        "cluster" => {
            let id = model::cluster(cx, Some(&arn))?.id;
            retag(cx, CLUSTERS, &id, &call.input["tags"], &call.input["tagKeys"])?;
        }
        "service" => {
            let mut service = model::service(cx, name(1), name(2))?.ok_or_else(missing)?;
            apply(&mut service.tags);
            service.inherited.retain(|key| !add.contains_key(key));
            service.put(cx)?;
        }
        "task" => {
            let mut task = model::task(cx, name(2))?.ok_or_else(missing)?;
            apply(&mut task.tags);
            task.put(cx)?;
        }
        "task-definition" => task_definition::retag(cx, &arn, apply)?,
        _ => return Err(missing()),
    }
    Ok(json!({}))
}

fn kind(arn: &str) -> &str {
    let resource = arn.split(':').nth(5).unwrap_or_default();
    resource.split('/').next().unwrap_or_default()
}

fn missing() -> AwsError {
    invalid_parameter("The specified resource ARN does not name an existing resource.")
}
