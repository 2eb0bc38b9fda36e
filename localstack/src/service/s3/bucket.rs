//! `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`. The syntax of policies is checked; they are not evaluated.

use serde_json::Value;

use super::object::{self, Object};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const BUCKETS: Records = Records("s3.buckets");
pub const POLICIES: Records = Records("s3.policies");

pub struct Bucket;

impl RecordType for Bucket {
    const TYPE: &'static str = "AWS::S3::Bucket";
    const RECORDS: Records = BUCKETS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "AbacStatus",
                "AccelerateConfiguration",
                "AccessControl",
                "AnalyticsConfigurations",
                "BucketEncryption",
                "BucketName",
                "CorsConfiguration",
                "IntelligentTieringConfigurations",
                "InventoryConfigurations",
                "LifecycleConfiguration",
                "LoggingConfiguration",
                "MetadataConfiguration",
                "MetadataTableConfiguration",
                "MetricsConfigurations",
                "NotificationConfiguration",
                "ObjectLockConfiguration",
                "ObjectLockEnabled",
                "OwnershipControls",
                "PublicAccessBlockConfiguration",
                "ReplicationConfiguration",
                "Tags",
                "VersioningConfiguration",
                "WebsiteConfiguration",
            ],
            create_only: &["BucketName"],
            attributes: &[
                "Arn",
                "DomainName",
                "DualStackDomainName",
                "RegionalDomainName",
                "WebsiteURL",
            ],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("BucketName")
            .unwrap_or_else(|| desired.generated_name(63).to_lowercase());
        check_name(&record.id)?;
        if BUCKETS.get(cx, &record.id)?.is_some() {
            return Err(
                AwsError::new("BucketAlreadyOwnedByYou", format!("{} already exists", record.id)).with_status(409),
            );
        }
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        let (id, region) = (&record.id, cx.region());
        Resource::new(id)
            .with("Arn", format!("arn:aws:s3:::{id}"))
            .with("DomainName", format!("{id}.s3.amazonaws.com"))
            .with("RegionalDomainName", format!("{id}.s3.{region}.amazonaws.com"))
            .with(
                "DualStackDomainName",
                format!("{id}.s3.dualstack.{region}.amazonaws.com"),
            )
            .with("WebsiteURL", format!("http://{id}.s3-website-{region}.amazonaws.com"))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        if !Object::list(cx, &record.id)?.is_empty() {
            let message = "The bucket you tried to delete is not empty";
            return Err(AwsError::new("BucketNotEmpty", message).with_status(409));
        }
        POLICIES.delete(cx, &record.id)?;
        object::delete_folder(cx, &record.id);
        Ok(())
    }
}

/// Checks a bucket's name (Amazon S3 User Guide: "General purpose bucket naming rules").
pub fn check_name(name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_valid = (3..=63).contains(&name.len())
        && name.chars().all(allowed)
        && name.starts_with(ends)
        && name.ends_with(ends)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    if is_valid {
        Ok(())
    } else {
        Err(AwsError::new(
            "InvalidBucketName",
            format!("The specified bucket is not valid: {name}"),
        ))
    }
}

pub struct BucketPolicy;

impl RecordType for BucketPolicy {
    const TYPE: &'static str = "AWS::S3::BucketPolicy";
    const RECORDS: Records = POLICIES;

    fn schema() -> Schema {
        Schema {
            properties: &["Bucket", "PolicyDocument"],
            required: &["Bucket", "PolicyDocument"],
            create_only: &["Bucket"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record.text("Bucket").unwrap_or_default();
        if BUCKETS.get(cx, &record.id)?.is_none() {
            return Err(super::no_such_bucket());
        }
        check(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }
}

/// Checks that the policy has statements, all of them about its own bucket.
pub fn check(record: &Record) -> Result<(), AwsError> {
    let malformed = |why: &str| Err(AwsError::new("MalformedPolicy", why));
    let document = record.properties.get("PolicyDocument").unwrap_or(&Value::Null);
    let Some(statements) = document["Statement"].as_array().filter(|list| !list.is_empty()) else {
        return malformed("Missing required field Statement");
    };
    let own = format!("arn:aws:s3:::{}", record.id);
    for statement in statements {
        let resources = match &statement["Resource"] {
            Value::Array(several) => several.clone(),
            one => vec![one.clone()],
        };
        let inside = |resource: &Value| {
            let rest = resource.as_str().and_then(|text| text.strip_prefix(&own));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !resources.iter().all(inside) {
            return malformed("Policy has invalid resource");
        }
    }
    Ok(())
}
