//! Operations on buckets.

use serde_json::{Value, json};

use super::bucket::{BUCKETS, Bucket, check_name};
use super::request::S3Request;
use super::response::S3Response;
use super::settings::{SETTINGS, Setting};
use super::subresource::WITHOUT_ACCESS_BLOCK;
use super::{Object, listing, xml};
use crate::records::{Record, RecordType, WriteLock, iso};
use crate::{AwsError, Context};

/// The region of a bucket without a location constraint.
const DEFAULT_REGION: &str = "us-east-1";

/// The header and the property with the minimum size of the objects that a lifecycle rule moves.
const MINIMUM_SIZE: (&str, &str) = (
    "x-amz-transition-default-minimum-object-size",
    "TransitionDefaultMinimumObjectSize",
);
const DEFAULT_MINIMUM_SIZE: &str = "all_storage_classes_128K";

pub fn list(cx: &Context) -> Result<S3Response, AwsError> {
    let buckets: Vec<Value> = BUCKETS
        .list(cx)?
        .iter()
        .map(|bucket| json!({"Name": bucket.id, "CreationDate": iso(bucket.created)}))
        .collect();
    let owner = json!({"ID": cx.account()});
    let content = json!({"Owner": owner, "Buckets": {"Bucket": buckets}});
    Ok(S3Response::xml(xml::document("ListAllMyBucketsResult", &content)))
}

pub fn create(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let name = &request.address.bucket;
    check_name(name)?;
    let region = region(request)?;
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    if BUCKETS.get(cx, name)?.is_some() {
        // Only us-east-1 reports no error (API_CreateBucket: BucketAlreadyOwnedByYou).
        if region != DEFAULT_REGION {
            let message = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(AwsError::new("BucketAlreadyOwnedByYou", message).with_status(409));
        }
    } else {
        let mut record = Record::from_properties(name, json!({"BucketName": name}));
        record.computed.insert("Region".into(), region.into());
        BUCKETS.put(cx, &record)?;
    }
    Ok(S3Response::empty(200).with("location", &format!("/{name}")))
}

/// Returns the region of a new bucket, which must be the region of the endpoint that the request was sent to.
fn region(request: &S3Request) -> Result<String, AwsError> {
    let constraint = if request.body.is_empty() {
        Value::Null
    } else {
        xml::parse("CreateBucketConfiguration", &request.body)?["LocationConstraint"].take()
    };
    let own = &request.region;
    match constraint.as_str().filter(|constraint| !constraint.is_empty()) {
        Some(constraint) if constraint == own && constraint != DEFAULT_REGION => Ok(own.clone()),
        None if own == DEFAULT_REGION => Ok(own.clone()),
        Some(constraint) => {
            let message = format!(
                "The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            Err(AwsError::new("IllegalLocationConstraintException", message))
        }
        None => Err(AwsError::new(
            "IllegalLocationConstraintException",
            "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.",
        )),
    }
}

pub fn head(cx: &Context, bucket: &Record) -> S3Response {
    S3Response::empty(200).with("x-amz-bucket-region", &region_of(cx, bucket))
}

pub fn location(cx: &Context, bucket: &Record) -> S3Response {
    let region = region_of(cx, bucket);
    let content = if region == DEFAULT_REGION {
        Value::Null
    } else {
        region.into()
    };
    let text = match content {
        Value::Null => xml::document("LocationConstraint", &json!({})),
        region => xml::document("LocationConstraint", &region),
    };
    S3Response::xml(text)
}

fn region_of(cx: &Context, bucket: &Record) -> String {
    bucket.computed("Region").unwrap_or_else(|| cx.region().to_owned())
}

pub fn delete(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let bucket = request.bucket(cx)?;
    Bucket::delete(cx, &bucket)?;
    BUCKETS.delete(cx, &bucket.id)?;
    Ok(S3Response::empty(204))
}

pub fn objects(cx: &Context, request: &S3Request, bucket: &Record) -> Result<S3Response, AwsError> {
    let content = listing::list(&bucket.id, &Object::list(cx, &bucket.id)?, |name| request.query(name))?;
    Ok(S3Response::xml(xml::document("ListBucketResult", &content)))
}

/// Handles the operations on settings, such as `PutPublicAccessBlock`; returns `None` for any other operation.
pub fn setting(cx: &Context, request: &S3Request) -> Option<Result<S3Response, AwsError>> {
    let found = |verb: &str| {
        let noun = request.operation.strip_prefix(verb)?;
        SETTINGS.iter().find(|setting| setting.noun == noun)
    };
    match (found("Put"), found("Get")) {
        (Some(setting), _) => Some(put(cx, request, setting)),
        (_, Some(setting)) => Some(get(cx, request, setting)),
        _ => None,
    }
}

fn put(cx: &Context, request: &S3Request, setting: &Setting) -> Result<S3Response, AwsError> {
    let mut value = (setting.from_xml)(&xml::parse(setting.root, &request.body)?)?;
    let size = request.header(MINIMUM_SIZE.0);
    if let Some(size) = size.filter(|_| setting.property == "LifecycleConfiguration") {
        if ![DEFAULT_MINIMUM_SIZE, "varies_by_storage_class"].contains(&size) {
            let message = format!("Invalid value {size} of {}", MINIMUM_SIZE.0);
            return Err(AwsError::new("InvalidArgument", message));
        }
        value[MINIMUM_SIZE.1] = size.into();
    }
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut bucket = request.bucket(cx)?;
    bucket.properties.insert(setting.property.to_owned(), value);
    if setting.noun == "PublicAccessBlock" {
        bucket.computed.shift_remove(WITHOUT_ACCESS_BLOCK);
    }
    BUCKETS.put(cx, &bucket)?;
    Ok(with_minimum_size(S3Response::empty(200), setting, &bucket))
}

/// Adds the minimum size of the objects that a lifecycle rule moves, which the API carries in a header.
fn with_minimum_size(response: S3Response, setting: &Setting, bucket: &Record) -> S3Response {
    match bucket.properties.get(setting.property) {
        Some(lifecycle) if setting.property == "LifecycleConfiguration" => {
            let size = lifecycle[MINIMUM_SIZE.1].as_str().unwrap_or(DEFAULT_MINIMUM_SIZE);
            response.with(MINIMUM_SIZE.0, size)
        }
        _ => response,
    }
}

fn get(cx: &Context, request: &S3Request, setting: &Setting) -> Result<S3Response, AwsError> {
    let bucket = request.bucket(cx)?;
    if setting.noun == "PublicAccessBlock" && bucket.computed(WITHOUT_ACCESS_BLOCK).is_some() {
        let message = "The public access block configuration was not found";
        return Err(AwsError::new("NoSuchPublicAccessBlockConfiguration", message).with_status(404));
    }
    let content = (setting.to_xml)(bucket.properties.get(setting.property))?;
    let response = S3Response::xml(xml::document(setting.root, &content));
    Ok(with_minimum_size(response, setting, &bucket))
}
