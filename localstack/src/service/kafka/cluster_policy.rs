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
        set_version(&mut record);
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        set_version(record);
        Ok(())
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("CurrentVersion", Self::version(record))
    }
}

/// The computed value with the version, which changes with the policy.
const VERSION: &str = "Version";

impl ClusterPolicy {
    pub fn version(record: &Record) -> String {
        record.computed(VERSION).unwrap_or_else(|| "K3AEGXETSR30VB".to_owned())
    }
}

fn set_version(record: &mut Record) {
    let version = format!("K{:013X}", rand::random::<u64>() >> 12);
    record.computed.insert(VERSION.into(), version.into());
}
