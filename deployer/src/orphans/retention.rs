//! The retention of log groups that services create: RDS for exported logs, ECS for Container Insights. They never expire by default
//! ("Working with log groups and log streams": "By default, logs are kept indefinitely and never expire").

use aws::{Result, Session, logs};
use platform::stacks::Plan;
use ui::Ui;

use super::Scope;

/// Sets the retention of those groups that have none. A failure is a warning: the next `up` tries again.
pub async fn set_retention(aws: &Session, ui: &Ui, plan: &Plan, days: u32) {
    match try_set(aws, plan, days).await {
        Err(error) if !error.is_unsupported() => {
            ui.warn(format!(
                "log groups of RDS and Container Insights keep their lines for good: {error}"
            ));
        }
        _ => {}
    }
}

async fn try_set(aws: &Session, plan: &Plan, days: u32) -> Result<()> {
    let scope = Scope::new(plan, std::iter::empty());
    for prefix in scope.log_groups.iter().filter(|prefix| prefix.starts_with("/aws/")) {
        for group in logs::groups(aws, prefix).await? {
            if group.retention_days.is_none() {
                logs::set_retention(aws, &group.name, days).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws::testing::FakeAws;
    use parking_lot::Mutex;
    use serde_json::json;

    use super::*;
    use crate::command::testing::plan;

    #[tokio::test]
    async fn groups_of_services_without_retention_get_one() {
        let set = Arc::new(Mutex::new(Vec::new()));
        let calls = set.clone();
        let endpoint = FakeAws::start(move |call| {
            let request = call.json();
            let response = match call.operation.as_str() {
                "DescribeLogGroups" => {
                    let prefix = request["logGroupNamePrefix"].as_str().unwrap_or_default();
                    json!({ "logGroups": [
                        { "logGroupName": format!("{prefix}new") },
                        { "logGroupName": format!("{prefix}old"), "retentionInDays": 3 },
                    ] })
                }
                "PutRetentionPolicy" => {
                    calls
                        .lock()
                        .push((request["logGroupName"].clone(), request["retentionInDays"].clone()));
                    json!({})
                }
                other => panic!("{other} was not expected"),
            };
            Some((200, response.to_string()))
        })
        .await;
        let (ui, _) = Ui::recording();
        set_retention(&endpoint.session().await, &ui, &plan("dev"), 30).await;
        let set = set.lock();
        assert!(
            set.contains(&(json!("/aws/ecs/containerinsights/shop-dev/new"), json!(30))),
            "{set:?}"
        );
        assert!(set.len() > 1, "databases too: {set:?}");
        let only_new = set.iter().all(|(name, days)| {
            let name = name.as_str().unwrap_or_default();
            name.starts_with("/aws/") && name.ends_with("new") && *days == 30
        });
        assert!(only_new, "{set:?}");
    }
}
