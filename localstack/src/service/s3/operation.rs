//! Names of S3 operations as in the API reference. Unsupported operations are named too, for the error message.

use http::Method;

/// Query parameters that select an operation, with the noun in its name for a bucket and for an object.
const SUBRESOURCES: [(&str, &str, &str); 27] = [
    ("accelerate", "BucketAccelerateConfiguration", ""),
    ("acl", "BucketAcl", "ObjectAcl"),
    ("analytics", "BucketAnalyticsConfiguration", ""),
    ("attributes", "", "ObjectAttributes"),
    ("cors", "BucketCors", ""),
    ("encryption", "BucketEncryption", ""),
    ("intelligent-tiering", "BucketIntelligentTieringConfiguration", ""),
    ("inventory", "BucketInventoryConfiguration", ""),
    ("legal-hold", "", "ObjectLegalHold"),
    ("lifecycle", "BucketLifecycleConfiguration", ""),
    ("location", "BucketLocation", ""),
    ("logging", "BucketLogging", ""),
    ("metadataConfiguration", "BucketMetadataConfiguration", ""),
    ("metrics", "BucketMetricsConfiguration", ""),
    ("notification", "BucketNotificationConfiguration", ""),
    ("object-lock", "ObjectLockConfiguration", ""),
    ("ownershipControls", "BucketOwnershipControls", ""),
    ("policy", "BucketPolicy", ""),
    ("policyStatus", "BucketPolicyStatus", ""),
    ("publicAccessBlock", "PublicAccessBlock", ""),
    ("replication", "BucketReplication", ""),
    ("requestPayment", "BucketRequestPayment", ""),
    ("retention", "", "ObjectRetention"),
    ("tagging", "BucketTagging", "ObjectTagging"),
    ("torrent", "", "ObjectTorrent"),
    ("versioning", "BucketVersioning", ""),
    ("website", "BucketWebsite", ""),
];

/// The target of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Service,
    Bucket,
    Object,
}

/// Returns the operation's name. `has` tests for a query parameter; `copies` is true if the content comes from another
/// object.
pub fn operation(method: &Method, subject: Subject, has: impl Fn(&str) -> bool, copies: bool) -> String {
    let verb = match *method {
        Method::GET => "Get",
        Method::PUT => "Put",
        Method::DELETE => "Delete",
        Method::HEAD => "Head",
        _ => "Post",
    };
    let subresource = SUBRESOURCES.iter().find_map(|(name, bucket, object)| {
        let noun = if subject == Subject::Bucket { bucket } else { object };
        (has(name) && !noun.is_empty() && subject != Subject::Service).then_some(*noun)
    });
    if let Some(noun) = subresource {
        return format!("{verb}{noun}");
    }
    let known = match (subject, verb) {
        (Subject::Service, "Get") => "ListBuckets",
        (Subject::Bucket, "Get") if has("uploads") => "ListMultipartUploads",
        (Subject::Bucket, "Get") if has("versions") => "ListObjectVersions",
        (Subject::Bucket, "Get") if has("session") => "CreateSession",
        (Subject::Bucket, "Get") if has("list-type") => "ListObjectsV2",
        (Subject::Bucket, "Get") => "ListObjects",
        (Subject::Bucket, "Put") => "CreateBucket",
        (Subject::Bucket, "Post") if has("delete") => "DeleteObjects",
        (Subject::Object, "Post") if has("uploads") => "CreateMultipartUpload",
        (Subject::Object, "Post") if has("uploadId") => "CompleteMultipartUpload",
        (Subject::Object, "Post") if has("restore") => "RestoreObject",
        (Subject::Object, "Post") if has("select") => "SelectObjectContent",
        (Subject::Object, "Put") if has("uploadId") => "UploadPart",
        (Subject::Object, "Get") if has("uploadId") => "ListParts",
        (Subject::Object, "Delete") if has("uploadId") => "AbortMultipartUpload",
        (Subject::Object, "Put") if copies => "CopyObject",
        (Subject::Service, _) => "Service",
        (Subject::Bucket, _) => return format!("{verb}Bucket"),
        (Subject::Object, _) => return format!("{verb}Object"),
    };
    match known {
        "Service" => format!("{verb}Service"),
        known => known.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &Method, subject: Subject, query: &[&str]) -> String {
        operation(method, subject, |name| query.contains(&name), false)
    }

    #[test]
    fn a_request_has_the_name_of_the_api_reference() {
        use Subject::{Bucket, Object, Service};
        assert_eq!(named(&Method::GET, Service, &[]), "ListBuckets");
        assert_eq!(named(&Method::PUT, Bucket, &[]), "CreateBucket");
        assert_eq!(named(&Method::GET, Bucket, &["list-type", "prefix"]), "ListObjectsV2");
        assert_eq!(
            named(&Method::PUT, Bucket, &["publicAccessBlock"]),
            "PutPublicAccessBlock"
        );
        assert_eq!(named(&Method::DELETE, Bucket, &["tagging"]), "DeleteBucketTagging");
        assert_eq!(named(&Method::PUT, Object, &["tagging"]), "PutObjectTagging");
        assert_eq!(named(&Method::HEAD, Object, &[]), "HeadObject");
        assert_eq!(named(&Method::POST, Object, &["uploads"]), "CreateMultipartUpload");
        assert_eq!(named(&Method::PUT, Object, &["uploadId", "partNumber"]), "UploadPart");
        assert_eq!(operation(&Method::PUT, Object, |_| false, true), "CopyObject");
    }
}
