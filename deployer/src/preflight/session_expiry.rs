//! The check of the session's expiry: CloudFormation works with the credentials that a change set was executed with, and cannot renew
//! them (eksctl-io/eksctl 7095).

use std::collections::BTreeMap;

use cfn::diff::compare;
use platform::stacks::Plan;
use serde_json::Value;
use time::OffsetDateTime;

use super::{PreflightFinding, Problem, fatal};
use crate::context::Session;
use crate::estimate::{Durations, History, estimate};

/// Compares the expiry with the estimated end of the deployment. `templates` are the deployed ones, by the full names of their stacks.
pub fn check(
    session: &Session,
    aws: &aws::Session,
    plan: &Plan,
    templates: &BTreeMap<String, Value>,
) -> Option<PreflightFinding> {
    // A configured role does not expire with the session, and an imitation of AWS checks no expiry.
    if session.is_local() || aws.cloudformation_role().is_some() {
        return None;
    }
    let expiry = aws.credentials_expiry()?;
    let durations = Durations {
        history: History::load(&session.endpoint_name()),
        on_aws: true,
    };
    let changes: Vec<_> = plan
        .stacks
        .iter()
        .map(|stack| (stack, compare(templates.get(&stack.name), &stack.template)))
        .collect();
    let needed = estimate(&changes, &durations).seconds;
    let left = expiry - OffsetDateTime::now_utc().unix_timestamp();
    assess(left, needed)
}

/// Compares seconds: those that are left, and those that the deployment takes.
fn assess(left: i64, needed: f64) -> Option<PreflightFinding> {
    let expires = (left as f64) < needed;
    expires.then(|| {
        fatal(Problem::SessionExpires {
            minutes: left.max(0) / 60,
            needed: (needed / 60.0).ceil(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_expires_during_the_deployment_is_rejected() {
        let found = assess(1800, 2700.5).expect("a finding");
        let expected = Problem::SessionExpires {
            minutes: 30,
            needed: 46.0,
        };
        assert_eq!(found, fatal(expected));
        assert_eq!(assess(3600, 2700.5), None);
        assert_eq!(assess(60, 0.0), None, "nothing to do");
    }
}
