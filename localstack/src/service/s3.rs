//! S3: buckets and their policies are kept and checked; there are no objects here, and nothing writes any.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::service::Call;
use crate::service::records::{Kept, Record, Records, kept};
use crate::{AwsError, Context, Desired, Resource, ResourceType, Schema, Service};

const BUCKETS: Records = Records("s3.buckets");
const POLICIES: Records = Records("s3.policies");

pub fn service() -> Arc<dyn Service> {
    Arc::new(S3)
}

struct S3;

#[async_trait]
impl Service for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![kept::<Bucket>(), kept::<BucketPolicy>()]
    }

    async fn call(&self, _cx: &Context, call: Call) -> Result<Value, AwsError> {
        Err(AwsError::not_implemented("s3", &call.operation))
    }
}

struct Bucket;

impl Kept for Bucket {
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

    fn make(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("BucketName")
            .unwrap_or_else(|| desired.generated_name(63).to_lowercase());
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if !(3..=63).contains(&record.id.len()) || !record.id.chars().all(allowed) {
            return Err(AwsError::new(
                "InvalidBucketName",
                format!("The specified bucket is not valid: {}", record.id),
            ));
        }
        if BUCKETS.get(cx, &record.id)?.is_some() {
            return Err(AwsError::new(
                "BucketAlreadyOwnedByYou",
                format!("{} already exists", record.id),
            ));
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

    fn remove(cx: &Context, record: &Record) -> Result<(), AwsError> {
        POLICIES.delete(cx, &record.id).map(drop)
    }
}

struct BucketPolicy;

impl Kept for BucketPolicy {
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

    fn make(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record.text("Bucket").unwrap_or_default();
        if BUCKETS.get(cx, &record.id)?.is_none() {
            let reason = format!("The specified bucket does not exist: {}", record.id);
            return Err(AwsError::new("NoSuchBucket", reason).with_status(404));
        }
        check(&record)?;
        Ok(record)
    }

    fn changed(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }
}

/// S3 refuses a statement about another bucket than the policy's own.
fn check(record: &Record) -> Result<(), AwsError> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn a_policy_speaks_of_its_own_bucket() {
        let (cx, _folder) = context_with(vec![service()]);
        let bucket = create(&cx, "AWS::S3::Bucket", "Logs", json!({})).await.unwrap();
        let arn = bucket.attributes["Arn"].as_str().unwrap().to_owned();
        let policy = |resource: String| {
            let statement =
                json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource});
            json!({"Bucket": bucket.physical_id, "PolicyDocument": {"Statement": [statement]}})
        };
        let refused = create(
            &cx,
            "AWS::S3::BucketPolicy",
            "Other",
            policy("arn:aws:s3:::other/*".into()),
        )
        .await;
        assert!(refused.unwrap_err().0.contains("invalid resource"));
        create(&cx, "AWS::S3::BucketPolicy", "Policy", policy(arn + "/*"))
            .await
            .unwrap();
    }
}
