//! A difference as text.

use cfn::diff::{Action, Change, PropertyChange, StackDifference};
use cfn::schema::Recreation;
use ui::Style;

/// The maximum number of characters of a value; longer ones are cut.
const MAX_VALUE: usize = 120;

/// Renders the difference of one stack; ends with a newline.
pub fn render(difference: &StackDifference, style: Style) -> String {
    let mut text = format!("{} ({})\n", style.bold(&difference.stack), difference.action);
    if let Some(note) = &difference.note {
        text.push_str(&format!("  {}\n", style.dim(note)));
    }
    for change in &difference.changes {
        text.push_str(&resource(change, style));
    }
    if !difference.security.is_empty() {
        text.push_str(&format!("  {}\n", style.bold("security:")));
        for grant in &difference.security {
            let line = format!(
                "    {} {}: {}",
                if grant.granted { "+" } else { "-" },
                grant.logical_id,
                grant.what
            );
            let line = if grant.granted { style.yellow(&line) } else { line };
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

fn resource(change: &Change, style: Style) -> String {
    let (resource, kind) = (&change.logical_id, &change.resource_type);
    let replaced = match (change.action, change.replacement) {
        (Action::Modify, Recreation::Always) => style.red("  replace"),
        (Action::Modify, Recreation::Conditionally) => style.yellow("  replace: depends on the new value"),
        (Action::Modify, Recreation::Never) => "  in place".to_owned(),
        (Action::Modify, Recreation::Unknown) => style.dim("  in place or replace: unknown type"),
        _ => String::new(),
    };
    let line = match change.action {
        Action::Add => style.green(&format!("  + {resource}  {kind}")),
        Action::Remove => style.red(&format!("  - {resource}  {kind}")),
        Action::Import => style.green(&format!("  ← {resource}  {kind}  imported")),
        Action::Modify | Action::Dynamic => style.yellow(&format!("  ~ {resource}  {kind}")),
    };
    let mut text = format!("{line}{replaced}\n");
    if let Some(loss) = &change.loss {
        text.push_str(&format!("      {} {loss}\n", style.red("LOST:")));
    }
    for property in &change.properties {
        let restarts = restarts(change, property).unwrap_or_default();
        text.push_str(&format!(
            "      {}{}\n",
            property_line(property),
            style.yellow(restarts)
        ));
    }
    text
}

/// Returns the interruption by a changed property. Without `ApplyImmediately` CloudFormation modifies a database at once, and not in its
/// maintenance window (`AWS::RDS::DBInstance`, `ApplyImmediately`; Amazon RDS User Guide, "Settings for DB instances": "Downtime occurs
/// during this change").
fn restarts(change: &Change, property: &PropertyChange) -> Option<&'static str> {
    let restarts = change.action == Action::Modify
        && change.resource_type == "AWS::RDS::DBInstance"
        && matches!(property.name.as_str(), "DBInstanceClass" | "EngineVersion");
    restarts.then_some("  (applied at once: the database restarts)")
}

fn property_line(property: &PropertyChange) -> String {
    // CloudFormation's placeholder for a value that only the deployment knows
    let side = |value: &Option<String>| match value {
        Some(value) => shortened(&value.replace("{{changeSet:KNOWN_AFTER_APPLY}}", "(known after apply)")),
        None => "(none)".to_owned(),
    };
    let values = match (&property.before, &property.after, &property.cause) {
        (None, None, Some(cause)) => format!("follows from {cause}"),
        (None, None, None) => "known after apply".to_owned(),
        (before, after, _) => format!("{} -> {}", side(before), side(after)),
    };
    let replaces = match property.recreation {
        Recreation::Always => "  (replaces the resource)",
        Recreation::Conditionally => "  (may replace the resource)",
        Recreation::Never | Recreation::Unknown => "",
    };
    format!("{}: {values}{replaces}", property.name)
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= MAX_VALUE {
        return value.to_owned();
    }
    let start: String = value.chars().take(MAX_VALUE).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use cfn::diff::{compare, permission_changes};

    #[test]
    fn a_difference_shows_values_replacement_data_loss_and_permissions() {
        let template = |size: u32, encrypted: bool, port: u16| {
            json!({"Resources": {
                "Database": {"Type": "AWS::RDS::DBInstance", "Properties": {"AllocatedStorage": size, "StorageEncrypted": encrypted, "DBInstanceClass": format!("db.t4g.{size}")}},
                "Rule": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {
                    "GroupId": "sg-1", "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "10.0.0.0/8"}},
            }})
        };
        let (old, new) = (template(20, false, 5432), template(30, true, 5433));
        let difference = StackDifference {
            stack: "shop-dev-data".into(),
            action: "update",
            changes: compare(Some(&old), &new),
            security: permission_changes(Some(&old), &new),
            note: None,
        };
        insta::assert_snapshot!(render(&difference, Style::default()), @r"
        shop-dev-data (update)
          ~ Database  AWS::RDS::DBInstance  replace
              LOST: the database with all its data
              AllocatedStorage: 20 -> 30
              DBInstanceClass: db.t4g.20 -> db.t4g.30  (applied at once: the database restarts)
              StorageEncrypted: false -> true  (replaces the resource)
          ~ Rule  AWS::EC2::SecurityGroupIngress  replace
              FromPort: 5432 -> 5433  (replaces the resource)
              ToPort: 5432 -> 5433  (replaces the resource)
          security:
            - Database: the database's storage is not encrypted
            + Rule: sg-1: tcp 5433 from 10.0.0.0/8
            - Rule: sg-1: tcp 5432 from 10.0.0.0/8
        ");
    }
}
