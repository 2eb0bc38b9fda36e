//! Parts of a bucket that are read, set and deleted on their own: tags, the policy, versioning, and the answers for parts that
//! a bucket does not have.

use serde_json::{Map, Value, json};

use super::bucket::{self, BUCKETS, POLICIES};
use super::request::S3Request;
use super::response::S3Response;
use super::settings::SETTINGS;
use super::xml;
use crate::records::{Record, WriteLock, tags_of};
use crate::{AwsError, Context};

/// A part that this endpoint does not set: what S3 answers for a bucket without it.
struct Part {
    /// The noun in the operation's name, as in `GetBucketCors`.
    noun: &'static str,
    property: &'static str,
    /// The root element of an empty answer, or the code and the message of S3's error.
    absent: Result<&'static str, (&'static str, &'static str)>,
}

const PARTS: [Part; 7] = [
    part(
        "BucketAccelerateConfiguration",
        "AccelerateConfiguration",
        Ok("AccelerateConfiguration"),
    ),
    part("BucketLogging", "LoggingConfiguration", Ok("BucketLoggingStatus")),
    part(
        "BucketNotificationConfiguration",
        "NotificationConfiguration",
        Ok("NotificationConfiguration"),
    ),
    part(
        "BucketCors",
        "CorsConfiguration",
        Err(("NoSuchCORSConfiguration", "The CORS configuration does not exist")),
    ),
    part(
        "BucketWebsite",
        "WebsiteConfiguration",
        Err((
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        )),
    ),
    part(
        "BucketReplication",
        "ReplicationConfiguration",
        Err((
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        )),
    ),
    part(
        "ObjectLockConfiguration",
        "ObjectLockConfiguration",
        Err((
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        )),
    ),
];

const fn part(
    noun: &'static str,
    property: &'static str,
    absent: Result<&'static str, (&'static str, &'static str)>,
) -> Part {
    Part { noun, property, absent }
}

/// The computed value of a bucket whose block of public access was deleted; a new bucket has one.
pub const WITHOUT_ACCESS_BLOCK: &str = "WithoutPublicAccessBlock";

/// Handles an operation on such a part; returns `None` for any other operation.
pub fn handle(cx: &Context, request: &S3Request) -> Option<Result<S3Response, AwsError>> {
    let operation = request.operation.as_str();
    let is_part = |noun: &str| PARTS.iter().find(|part| part.noun == noun);
    Some(match operation {
        "GetBucketTagging" => request.bucket(cx).and_then(|bucket| tags(&bucket)),
        "PutBucketTagging" => put_tags(cx, request),
        "GetBucketPolicy" => policy(cx, request),
        "PutBucketPolicy" => put_policy(cx, request),
        "GetBucketVersioning" => request.bucket(cx).map(|bucket| {
            let status = bucket
                .properties
                .get("VersioningConfiguration")
                .map(|all| &all["Status"]);
            S3Response::xml(xml::document("VersioningConfiguration", &json!({"Status": status})))
        }),
        "GetBucketRequestPayment" => request.bucket(cx).map(|_| {
            let payer = json!({"Payer": "BucketOwner"});
            S3Response::xml(xml::document("RequestPaymentConfiguration", &payer))
        }),
        "GetBucketAcl" => request.bucket(cx).and_then(|bucket| acl(cx, &bucket)),
        _ => {
            if let Some(noun) = operation.strip_prefix("Delete") {
                let part = is_part(noun).map(|part| part.property);
                let setting = SETTINGS.iter().find(|setting| setting.noun == noun);
                let property = part.or(setting.map(|setting| setting.property));
                let known = property.or(match noun {
                    "BucketTagging" => Some("Tags"),
                    "BucketPolicy" => Some("Policy"),
                    _ => None,
                });
                return known.map(|property| delete(cx, request, property));
            }
            let part = is_part(operation.strip_prefix("Get")?)?;
            match request.bucket(cx) {
                Ok(bucket) if bucket.properties.contains_key(part.property) => return None,
                Ok(_) => part
                    .absent
                    .map(|root| S3Response::xml(xml::document(root, &json!({}))))
                    .map_err(|(code, message)| AwsError::new(code, message).with_status(404)),
                Err(error) => Err(error),
            }
        }
    })
}

fn tags(bucket: &Record) -> Result<S3Response, AwsError> {
    if bucket.tags.is_empty() {
        return Err(AwsError::new("NoSuchTagSet", "The TagSet does not exist").with_status(404));
    }
    let content = json!({"TagSet": {"Tag": bucket.tag_list()}});
    Ok(S3Response::xml(xml::document("Tagging", &content)))
}

/// `PutBucketTagging`, which replaces all tags.
fn put_tags(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let document = xml::parse("Tagging", &request.body)?;
    let list: Vec<Value> = xml::list(&document["TagSet"]["Tag"]).into_iter().cloned().collect();
    let tags = tags_of(&list.clone().into());
    if tags.len() != list.len() {
        return Err(AwsError::new(
            "InvalidTag",
            "Cannot provide multiple Tags with the same key",
        ));
    }
    change(cx, request, |bucket| {
        bucket.inherited.clear();
        bucket.tags = tags;
    })
}

/// `GetBucketPolicy`, whose answer is JSON.
fn policy(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let bucket = request.bucket(cx)?;
    let stored = POLICIES.get(cx, &bucket.id)?;
    let document = stored.and_then(|policy| policy.properties.get("PolicyDocument").cloned());
    let missing = || AwsError::new("NoSuchBucketPolicy", "The bucket policy does not exist").with_status(404);
    let mut response = S3Response::empty(200).with("content-type", "application/json");
    response.body = document.ok_or_else(missing)?.to_string().into();
    Ok(response)
}

fn put_policy(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let malformed = |_| {
        AwsError::new(
            "MalformedPolicy",
            "Policies must be valid JSON and the first byte must be '{'",
        )
    };
    let document: Map<String, Value> = serde_json::from_slice(&request.body).map_err(malformed)?;
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let bucket = request.bucket(cx)?.id;
    let record = Record::from_properties(&bucket, json!({"Bucket": bucket, "PolicyDocument": document}));
    bucket::check(&record)?;
    POLICIES.put(cx, &record)?;
    Ok(S3Response::empty(204))
}

/// Deletes a part. It succeeds if the bucket does not have it.
fn delete(cx: &Context, request: &S3Request, property: &str) -> Result<S3Response, AwsError> {
    let mut response = change(cx, request, |bucket| {
        match property {
            "Tags" => {
                bucket.inherited.clear();
                bucket.tags.clear();
            }
            "PublicAccessBlockConfiguration" => {
                bucket.computed.insert(WITHOUT_ACCESS_BLOCK.into(), true.into());
            }
            _ => {}
        }
        bucket.properties.shift_remove(property);
    })?;
    if property == "Policy" {
        POLICIES.delete(cx, &request.address.bucket)?;
    }
    response.status = 204;
    Ok(response)
}

/// Returns the access control list of a bucket: its owner has full control, since new buckets have no other lists.
fn acl(cx: &Context, bucket: &Record) -> Result<S3Response, AwsError> {
    if bucket.text("AccessControl").is_some_and(|list| list != "Private") {
        return Err(AwsError::not_implemented(
            "s3",
            "GetBucketAcl of a bucket with AccessControl",
        ));
    }
    let owner = cx.account();
    // The type of a grantee is an attribute.
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AccessControlPolicy xmlns=\"{}\"><Owner><ID>{owner}</ID></Owner>\
         <AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:type=\"CanonicalUser\"><ID>{owner}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>\
         </AccessControlList></AccessControlPolicy>",
        xml::NAMESPACE
    );
    Ok(S3Response::xml(text))
}

fn change(cx: &Context, request: &S3Request, change: impl FnOnce(&mut Record)) -> Result<S3Response, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut bucket = request.bucket(cx)?;
    change(&mut bucket);
    BUCKETS.put(cx, &bucket)?;
    Ok(S3Response::empty(204))
}
