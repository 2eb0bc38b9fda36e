//! IAM's names of actions: some provider schemas list API operations, which IAM spells otherwise.

/// API operations of S3 and the IAM action that allows each (Amazon S3 User Guide: "Required permissions for Amazon S3 API
/// operations"). Deleting a configuration is allowed by the action that puts it.
const S3: &[(&str, &str)] = &[
    ("DeleteBucketAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    ("DeleteBucketCors", "PutBucketCORS"),
    ("DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("DeleteBucketMetricsConfiguration", "PutMetricsConfiguration"),
    ("DeleteBucketReplication", "PutReplicationConfiguration"),
    ("PutBucketReplication", "PutReplicationConfiguration"),
    ("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration"),
];

/// Returns the IAM action for `service:Name` of a provider schema as service and name; `None` for what is no action, such as
/// `s3:REST.PUT.OBJECT`, an operation of S3's access logs that the schema of log groups lists.
pub fn iam_action(action: &str) -> Option<(String, String)> {
    let (service, name) = action.split_once(':')?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    // One schema spells a prefix `Kafka`; IAM ignores case.
    let service = service.to_ascii_lowercase();
    let translated = S3.iter().find(|(api, _)| service == "s3" && *api == name);
    let name = translated.map_or(name, |(_, action)| action);
    Some((service, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::iam_action;

    #[test]
    fn an_operation_becomes_the_action_that_allows_it() {
        let translated = |action: &str| iam_action(action).map(|(service, name)| format!("{service}:{name}"));
        for (given, action) in [
            ("s3:DeleteBucketEncryption", Some("s3:PutEncryptionConfiguration")),
            ("s3:PutBucketReplication", Some("s3:PutReplicationConfiguration")),
            ("Kafka:DescribeConfiguration", Some("kafka:DescribeConfiguration")),
            ("rds:CreateDBInstance", Some("rds:CreateDBInstance")),
            ("s3:REST.PUT.OBJECT", None),
            ("s3:*", None),
        ] {
            assert_eq!(translated(given).as_deref(), action, "{given}");
        }
    }
}
