//! The bucket of the load balancer's access logs.

use serde_json::{Value, json};

use cfn::template::{Handle, Resource, Template, sub};

/// Days for which a log is retained.
const RETENTION_DAYS: u32 = 365;
const PREFIX: &str = "load-balancer";

/// Adds the bucket and its policy, and returns both: the load balancer depends on the policy.
pub fn add(template: &mut Template) -> (Handle, Handle) {
    let bucket = template.add(
        "AccessLogs",
        Resource::new("AWS::S3::Bucket")
            // The load balancer supports S3 managed keys alone (Application Load Balancer: access logs).
            .with(
                "BucketEncryption",
                json!({ "ServerSideEncryptionConfiguration": [
                    { "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }] }),
            )
            .with(
                "PublicAccessBlockConfiguration",
                json!({ "BlockPublicAcls": true, "BlockPublicPolicy": true,
                        "IgnorePublicAcls": true, "RestrictPublicBuckets": true }),
            )
            .with(
                "OwnershipControls",
                json!({ "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] }),
            )
            .with("VersioningConfiguration", json!({ "Status": "Enabled" }))
            .with(
                "LifecycleConfiguration",
                json!({ "Rules": [{
                    "Id": "expire", "Status": "Enabled", "ExpirationInDays": RETENTION_DAYS,
                    "NoncurrentVersionExpiration": { "NoncurrentDays": 30 },
                    "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 7 },
                }] }),
            )
            .skip_check(
                "CKV_AWS_18",
                "the bucket of access logs; its own access logs would need another bucket",
            )
            // Access logs must survive the platform's deletion.
            .retained(),
    );
    let policy = template.add(
        "AccessLogsPolicy",
        Resource::new("AWS::S3::BucketPolicy")
            .with("Bucket", bucket.reference())
            .with("PolicyDocument", policy(&bucket)),
    );
    (bucket, policy)
}

/// Returns the attributes of a load balancer that writes to the bucket.
pub fn attributes(bucket: &Handle) -> Vec<Value> {
    vec![
        json!({ "Key": "access_logs.s3.enabled", "Value": "true" }),
        json!({ "Key": "access_logs.s3.bucket", "Value": bucket.reference() }),
        json!({ "Key": "access_logs.s3.prefix", "Value": PREFIX }),
    ]
}

/// Allows load balancers of this account to write, and denies requests without TLS.
fn policy(bucket: &Handle) -> Value {
    let balancers = "arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:loadbalancer/*";
    let written = format!("${{Arn}}/{PREFIX}/AWSLogs/${{AWS::AccountId}}/*");
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "LoadBalancersOfThisAccount",
                "Effect": "Allow",
                "Principal": { "Service": "logdelivery.elasticloadbalancing.amazonaws.com" },
                "Action": "s3:PutObject",
                "Resource": sub(&written, [("Arn", bucket.attribute("Arn"))]),
                "Condition": { "ArnLike": { "aws:SourceArn": sub(balancers, []) } },
            },
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket.attribute("Arn"), sub("${Arn}/*", [("Arn", bucket.attribute("Arn"))])],
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            },
        ],
    })
}
