//! `AWS::MSK::ClusterPolicy`: stored, not evaluated.

use super::model;
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct ClusterPolicy;

impl RecordType for ClusterPolicy {
    const TYPE: &'static str = "AWS::MSK::ClusterPolicy";
    const RECORDS: Records = Records("kafka.policies");

    fn schema() -> Schema {
        Schema {
            properties: &["ClusterArn", "Policy"],
            required: &["ClusterArn", "Policy"],
            create_only: &["ClusterArn"],
            attributes: &["CurrentVersion"],
            write_only: &[],
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = model::cluster(cx, &record.text("ClusterArn").unwrap_or_default())?.id;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("CurrentVersion", "K3AEGXETSR30VB")
    }
}
