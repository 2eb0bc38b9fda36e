//! Weights of a rule's target groups, which a deployment of ECS moves.

use serde_json::{Value, json};

use super::model::{self, RULES};
use super::{action, sync};
use crate::records::WriteLock;
use crate::runtime::load_balancer::Action;
use crate::{AwsError, Context};

/// Forwards the requests of a rule to target groups by weight. Does nothing if it does already.
///
/// # Errors
/// `RuleNotFound`, or a rule that cannot be served.
pub fn set_weights(cx: &Context, rule: &str, weights: &[(String, u32)]) -> Result<(), AwsError> {
    {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let mut record = model::rule(cx, rule)?;
        if let Ok(Action::Forward(current)) = action::parse(record.properties.get("Actions"))
            && current == weights
        {
            return Ok(());
        }
        let groups: Vec<Value> = weights
            .iter()
            .map(|(group, weight)| json!({"TargetGroupArn": group, "Weight": weight}))
            .collect();
        let action = json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]);
        record.properties.insert("Actions".into(), action);
        RULES.put(cx, &record)?;
    }
    sync::apply(cx)
}
