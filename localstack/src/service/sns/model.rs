//! Records of SNS: topics, their policies and subscriptions.

use crate::records::{Record, Records};
use crate::{AwsError, Context};

pub const TOPICS: Records = Records("sns.topics");
pub const POLICIES: Records = Records("sns.policies");
pub const SUBSCRIPTIONS: Records = Records("sns.subscriptions");

pub fn find_topic(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    let parts = arn.split(':').count();
    if parts < 6 {
        let message = format!("Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not {parts}");
        return Err(AwsError::new("InvalidParameter", message));
    }
    let not_found = || AwsError::new("NotFound", "Topic does not exist").with_status(404);
    TOPICS.get(cx, arn)?.ok_or_else(not_found)
}
