//! Amazon RDS: each instance is a PostgreSQL server.

mod api;
mod describe;
mod events;
mod failures;
mod groups;
mod instance;
mod lifecycle;
mod master_password;
mod model;
mod modify;
mod parameters;
mod rotation;
mod server;
mod snapshot;
mod supervisor;
#[cfg(test)]
mod tests;
mod validation;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::records::{record_type, tag_list, tags_of};
use crate::service::supervisor::stop_all;
use crate::{AwsError, Call, Context, Desired, ResourceType, Service};

pub use snapshot::retained as retained_snapshots;

/// Returns the service, signing name `rds`.
pub fn service() -> Arc<dyn Service> {
    Arc::new(Rds)
}

struct Rds;

#[async_trait]
impl Service for Rds {
    fn name(&self) -> &'static str {
        "rds"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            Arc::new(instance::Instance),
            record_type::<groups::SubnetGroup>(),
            record_type::<groups::ParameterGroup>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "DescribeDBInstances" => describe::instances(cx, &call).await,
            "DescribeDBSubnetGroups" => describe::subnet_groups(cx, &call).await,
            "DescribeDBParameterGroups" => describe::parameter_groups(cx, &call),
            "DescribeAccountAttributes" => describe::account(cx),
            "DescribeDBEngineVersions" => describe::engine_versions(&call),
            "DescribeDBParameters" => parameters::describe(cx, &call),
            "DescribeOrderableDBInstanceOptions" => describe::orderable_options(cx, &call),
            "DescribeDBClusters" => describe::clusters(&call),
            "DescribeEvents" => events::describe(cx, &call),
            "ListTagsForResource" => api::tags(cx, &call),
            "AddTagsToResource" => api::add_tags(cx, &call),
            "RemoveTagsFromResource" => api::remove_tags(cx, &call),
            "CreateDBSubnetGroup" => api::create_subnet_group(cx, &call).await,
            "ModifyDBSubnetGroup" => api::modify_subnet_group(cx, &call).await,
            "DeleteDBSubnetGroup" => api::delete_subnet_group(cx, &call).await,
            "CreateDBParameterGroup" => api::create_parameter_group(cx, &call).await,
            "ModifyDBParameterGroup" => parameters::modify(cx, &call).await,
            "ResetDBParameterGroup" => parameters::reset(cx, &call).await,
            "DeleteDBParameterGroup" => api::delete_parameter_group(cx, &call).await,
            "CreateDBInstance" => create(cx, call).await,
            "RestoreDBInstanceFromDBSnapshot" => restore(cx, call).await,
            "ModifyDBInstance" => modify::modify(cx, &call).await,
            "RebootDBInstance" => modify::reboot(cx, &call).await,
            "DeleteDBInstance" => delete(cx, call).await,
            "CreateDBSnapshot" => snapshot::create(cx, &call).await,
            "DescribeDBSnapshots" => snapshot::describe(cx, &call),
            "DeleteDBSnapshot" => snapshot::delete(cx, &call),
            other => Err(AwsError::not_implemented("rds", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        supervisor::recover(cx).await
    }

    async fn stop(&self, cx: &Context) {
        stop_all::<model::Instances>(cx).await;
    }
}

async fn create(cx: &Context, call: Call) -> Result<Value, AwsError> {
    let mut properties = call.input.clone();
    let id = call.required("DBInstanceIdentifier")?;
    if let Some(groups) = properties.get("VpcSecurityGroupIds").cloned() {
        properties["VPCSecurityGroups"] = groups;
    }
    let tags = tags_of(&properties.get("Tags").cloned().unwrap_or_default());
    properties["Tags"] = tag_list(&tags);
    let desired = Desired {
        logical_id: id.clone(),
        cancel: cx.shutdown().child_token(),
        ..Desired::outside_stacks(properties)
    };
    let creation = lifecycle::prepare(cx, &desired).await?;
    let record = if creation.is_delayed() {
        let record = creation.record.clone();
        tokio::spawn(lifecycle::finish_in_background(cx.clone(), creation));
        record
    } else {
        lifecycle::finish(cx, creation, &desired.cancel).await?
    };
    Ok(json!({"DBInstance": describe::instance(cx, &record).await?}))
}

async fn restore(cx: &Context, call: Call) -> Result<Value, AwsError> {
    call.required("DBSnapshotIdentifier")?;
    create(cx, call).await
}

async fn delete(cx: &Context, call: Call) -> Result<Value, AwsError> {
    let record = model::instance(cx, &call.required("DBInstanceIdentifier")?)?;
    let snapshot = call.text("FinalDBSnapshotIdentifier");
    let conflict = match (&snapshot, call.boolean("SkipFinalSnapshot").unwrap_or(false)) {
        (None, false) => Some("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."),
        (Some(_), true) => Some("FinalDBSnapshotIdentifier cannot be specified when SkipFinalSnapshot is true."),
        _ => None,
    };
    if let Some(conflict) = conflict {
        return Err(AwsError::new("InvalidParameterCombination", conflict));
    }
    if snapshot.is_some() {
        model::require_available(cx, &record)?;
    }
    let description = describe::instance(cx, &record).await?;
    lifecycle::delete(cx, &record.id, snapshot.as_deref()).await?;
    Ok(json!({"DBInstance": description}))
}
