//! `AWS::MSK::Configuration`: stored and described, not applied to the broker.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::records::{Record, RecordType, Records, iso};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Configuration;

impl RecordType for Configuration {
    const TYPE: &'static str = "AWS::MSK::Configuration";
    const RECORDS: Records = Records("kafka.configurations");

    fn schema() -> Schema {
        Schema {
            properties: &[
                "Description",
                "KafkaVersionsList",
                "LatestRevision",
                "Name",
                "ServerProperties",
            ],
            required: &["Name", "ServerProperties"],
            create_only: &["KafkaVersionsList", "Name"],
            attributes: &[
                "Arn",
                "LatestRevision.CreationTime",
                "LatestRevision.Description",
                "LatestRevision.Revision",
            ],
            write_only: &["ServerProperties"],
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let name = record.text("Name").unwrap_or_default();
        if Self::RECORDS.find(cx, |other| other.has("Name", &name))?.is_some() {
            let message = format!("A resource with the name {name} already exists.");
            return Err(AwsError::new("ConflictException", message).with_status(409));
        }
        record.id = cx.arn("kafka", &format!("configuration/{name}/{}-1", Uuid::new_v4()));
        record.computed.insert("revision".into(), 1.into());
        add_revision(&mut record);
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Arn", record.id.as_str())
            .with("LatestRevision.CreationTime", iso(record.created))
            .with(
                "LatestRevision.Description",
                record.text("Description").unwrap_or_default(),
            )
            .with("LatestRevision.Revision", revision(record))
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        record.computed.insert("revision".into(), (revision(record) + 1).into());
        add_revision(record);
        Ok(())
    }
}

impl Configuration {
    /// Returns a configuration.
    pub fn find(cx: &Context, arn: &str) -> Result<Record, AwsError> {
        // The code and the text by which Terraform's provider sees that a configuration is gone.
        let missing = || {
            AwsError::new(
                "BadRequestException",
                format!("Configuration ARN does not exist: {arn}"),
            )
        };
        Self::RECORDS.get(cx, arn)?.ok_or_else(missing)
    }

    /// Returns the properties of each revision by its number.
    pub fn revisions(record: &Record) -> Vec<(i64, String)> {
        let all = record.computed.get(REVISIONS).and_then(Value::as_object);
        let number = |(number, text): (&String, &Value)| Some((number.parse().ok()?, text.as_str()?.to_owned()));
        all.into_iter().flatten().filter_map(number).collect()
    }
}

/// The computed value with the properties of each revision.
const REVISIONS: &str = "revisions";

fn add_revision(record: &mut Record) {
    let text = record.text("ServerProperties").unwrap_or_default();
    let number = revision(record).to_string();
    let all = record.computed.entry(REVISIONS).or_insert_with(|| json!({}));
    all[number] = text.into();
}

pub fn revision(record: &Record) -> i64 {
    record
        .computed("revision")
        .and_then(|revision| revision.parse().ok())
        .unwrap_or(1)
}
