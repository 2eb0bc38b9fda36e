//! The plan of a deletion as text.

use aws::cloudformation::{DataResource, DeletionOutcome};

use super::plan::{DestroyPlan, StackDeletion};

/// Renders each stack in its order, with the data that is deleted or retained, and the protections.
pub fn plan(deletion: &DestroyPlan) -> String {
    let stacks = match deletion.stacks.len() {
        1 => "1 stack".to_owned(),
        count => format!("{count} stacks"),
    };
    let mut lines = vec![format!(
        "{} on {}: {stacks} to delete, in this order",
        deletion.name, deletion.endpoint
    )];
    lines.extend(deletion.stacks.iter().flat_map(stack));
    if !deletion.orphans.is_empty() {
        lines.push("and resources in no stack:".to_owned());
        let orphans = deletion.orphans.iter();
        lines.extend(orphans.map(|one| format!("       DELETE     {one}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Renders the stacks that `up` deletes because they are no longer in the manifest.
pub fn removed(deletion: &DestroyPlan) -> String {
    let mut lines = vec!["no longer in the manifest, deleted first:".to_owned()];
    lines.extend(deletion.stacks.iter().flat_map(stack));
    lines.join("\n")
}

fn stack(one: &StackDeletion) -> Vec<String> {
    let status = if one.status.ends_with("_COMPLETE") && !one.status.contains("ROLLBACK") {
        String::new()
    } else {
        format!("  {}", one.status)
    };
    let resources = if one.resources == 1 { "resource" } else { "resources" };
    let mut lines = vec![format!(
        "  {}. {}  {} {resources}{status}",
        one.step, one.stack, one.resources
    )];
    for outcome in [
        DeletionOutcome::Deleted,
        DeletionOutcome::Snapshotted,
        DeletionOutcome::Retained,
    ] {
        let data = one.data_resources.iter().filter(|resource| resource.outcome == outcome);
        lines.extend(data.map(|resource| format!("       {}", data_resource(resource))));
    }
    lines.extend(one.protections.iter().map(|one| format!("       PROTECTED  {one}")));
    lines
}

/// Renders what a deletion does to a resource with data.
pub fn data_resource(resource: &DataResource) -> String {
    let note = resource
        .note
        .as_ref()
        .map(|note| format!("; {note}"))
        .unwrap_or_default();
    let description = &resource.description;
    match resource.outcome {
        DeletionOutcome::Deleted => format!("DELETE     {description}{note}"),
        DeletionOutcome::Snapshotted => {
            format!("SNAPSHOT   {description}; AWS charges for the snapshot until it is deleted{note}")
        }
        DeletionOutcome::Retained => format!("RETAIN     {description}{note}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::deletion;
    use super::*;
    use aws::cloudformation::Protection;

    use crate::orphans::{OrphanKind, OrphanedResource};

    #[test]
    fn a_plan_shows_data_outcomes_and_protections() {
        let resource = |description: &str, note: Option<&str>, outcome| DataResource {
            logical_id: "It".into(),
            resource_type: "AWS::RDS::DBInstance".into(),
            physical_id: "it".into(),
            description: description.into(),
            note: note.map(str::to_owned),
            outcome,
        };
        let mut app = deletion("shop-prod-app");
        app.step = 1;
        app.data_resources = vec![resource(
            "logs /ecs/shop-prod/app (the last 90 days)",
            None,
            DeletionOutcome::Deleted,
        )];
        let mut data = deletion("shop-prod-data");
        data.step = 2;
        data.resources = 14;
        data.status = "UPDATE_ROLLBACK_COMPLETE".into();
        data.data_resources = vec![
            resource(
                "database orders (50 GiB)",
                Some("its automated backups are deleted"),
                DeletionOutcome::Snapshotted,
            ),
            resource("secret shop-prod: TOKEN", None, DeletionOutcome::Deleted),
            resource("key shop-prod", None, DeletionOutcome::Retained),
        ];
        data.protections = vec![Protection {
            stack: "shop-prod-data".into(),
            logical_id: Some("OrdersDatabase".into()),
            resource_type: "AWS::RDS::DBInstance".into(),
            physical_id: "orders".into(),
            declared: true,
        }];
        let orphan = OrphanedResource {
            kind: OrphanKind::LogGroup,
            name: "/aws/rds/instance/orders/postgresql".into(),
            note: None,
        };
        let deletion = DestroyPlan {
            name: "shop-prod".into(),
            endpoint: "aws eu-central-1".into(),
            protected: true,
            stacks: vec![app, data],
            orphans: vec![orphan],
        };
        insta::assert_snapshot!(plan(&deletion), @"
        shop-prod on aws eu-central-1: 2 stacks to delete, in this order
          1. shop-prod-app  1 resource
               DELETE     logs /ecs/shop-prod/app (the last 90 days)
          2. shop-prod-data  14 resources  UPDATE_ROLLBACK_COMPLETE
               DELETE     secret shop-prod: TOKEN
               SNAPSHOT   database orders (50 GiB); AWS charges for the snapshot until it is deleted; its automated backups are deleted
               RETAIN     key shop-prod
               PROTECTED  OrdersDatabase of shop-prod-data (AWS::RDS::DBInstance) has deletion protection
        and resources in no stack:
               DELETE     log group /aws/rds/instance/orders/postgresql
        ");
    }
}
