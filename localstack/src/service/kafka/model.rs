//! Records of Amazon MSK: clusters and topics.

use crate::records::{Record, Records};
use crate::{AwsError, Context};

pub const CLUSTERS: Records = Records("kafka.clusters");
pub const TOPICS: Records = Records("kafka.topics");

/// The computed value with the state of a cluster.
pub const STATE: &str = "state";
pub const ACTIVE: &str = "ACTIVE";

/// The version of a cluster for optimistic updates. It never changes here.
pub const VERSION: &str = "K3P5ROKL5A1OLE";

/// The kind of record that the supervisor and the lifecycle lock are for.
pub struct Clusters;

pub fn is_active(cluster: &Record) -> bool {
    cluster.computed(STATE).as_deref() == Some(ACTIVE)
}

pub fn cluster(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    CLUSTERS.get(cx, arn)?.ok_or_else(|| {
        let message = format!("Cluster with ARN {arn} not found.");
        AwsError::new("NotFoundException", message).with_status(404)
    })
}
