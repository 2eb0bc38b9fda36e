//! Operations on buckets.

use serde_json::{Value, json};

use super::bucket::{BUCKETS, Bucket, check_name};
use super::door::{Answer, Asked};
use super::settings::{SETTINGS, Setting};
use super::{Object, listing, xml};
use crate::records::{Record, RecordType, WriteLock, iso};
use crate::{AwsError, Context};

/// The region of a bucket that was made without a place.
const FIRST: &str = "us-east-1";

pub fn list(cx: &Context) -> Result<Answer, AwsError> {
    let buckets: Vec<Value> = BUCKETS
        .list(cx)?
        .iter()
        .map(|bucket| json!({"Name": bucket.id, "CreationDate": iso(bucket.created)}))
        .collect();
    let owner = json!({"ID": cx.account()});
    let content = json!({"Owner": owner, "Buckets": {"Bucket": buckets}});
    Ok(Answer::xml(xml::document("ListAllMyBucketsResult", &content)))
}

pub fn create(cx: &Context, asked: &Asked) -> Result<Answer, AwsError> {
    let name = &asked.address.bucket;
    check_name(name)?;
    let region = region(asked)?;
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    if BUCKETS.get(cx, name)?.is_some() {
        // us-east-1 alone says nothing about it (API_CreateBucket: BucketAlreadyOwnedByYou).
        if region != FIRST {
            let words = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(AwsError::new("BucketAlreadyOwnedByYou", words).with_status(409));
        }
    } else {
        let mut record = Record::from_properties(name, json!({"BucketName": name}));
        record.computed.insert("Region".into(), region.into());
        BUCKETS.put(cx, &record)?;
    }
    Ok(Answer::empty(200).with("location", &format!("/{name}")))
}

/// Where a bucket is to be: S3 takes it only at the endpoint of that very region.
fn region(asked: &Asked) -> Result<String, AwsError> {
    let place = match asked.body.is_empty() {
        true => Value::Null,
        false => xml::parse("CreateBucketConfiguration", &asked.body)?["LocationConstraint"].take(),
    };
    let own = &asked.region;
    match place.as_str().filter(|place| !place.is_empty()) {
        Some(place) if place == own && place != FIRST => Ok(own.clone()),
        None if own == FIRST => Ok(own.clone()),
        Some(place) => {
            let words = format!(
                "The {place} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            Err(AwsError::new("IllegalLocationConstraintException", words))
        }
        None => Err(AwsError::new(
            "IllegalLocationConstraintException",
            "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.",
        )),
    }
}

pub fn head(cx: &Context, bucket: &Record) -> Answer {
    Answer::empty(200).with("x-amz-bucket-region", &region_of(cx, bucket))
}

pub fn location(cx: &Context, bucket: &Record) -> Answer {
    let region = region_of(cx, bucket);
    let content = if region == FIRST { Value::Null } else { region.into() };
    let text = match content {
        Value::Null => xml::document("LocationConstraint", &json!({})),
        region => xml::document("LocationConstraint", &region),
    };
    Answer::xml(text)
}

fn region_of(cx: &Context, bucket: &Record) -> String {
    bucket.computed("Region").unwrap_or_else(|| cx.region().to_owned())
}

pub fn delete(cx: &Context, asked: &Asked) -> Result<Answer, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let bucket = asked.bucket(cx)?;
    Bucket::delete(cx, &bucket)?;
    BUCKETS.delete(cx, &bucket.id)?;
    Ok(Answer::empty(204))
}

pub fn objects(cx: &Context, asked: &Asked, bucket: &Record) -> Result<Answer, AwsError> {
    let content = listing::list(&bucket.id, &Object::list(cx, &bucket.id)?, |name| asked.query(name))?;
    Ok(Answer::xml(xml::document("ListBucketResult", &content)))
}

/// `PutPublicAccessBlock`, `GetBucketEncryption` and their like; none for what is no such operation.
pub fn setting(cx: &Context, asked: &Asked) -> Option<Result<Answer, AwsError>> {
    let found = |verb: &str| {
        let noun = asked.operation.strip_prefix(verb)?;
        SETTINGS.iter().find(|setting| setting.noun == noun)
    };
    match (found("Put"), found("Get")) {
        (Some(setting), _) => Some(put(cx, asked, setting)),
        (_, Some(setting)) => Some(get(cx, asked, setting)),
        _ => None,
    }
}

fn put(cx: &Context, asked: &Asked, setting: &Setting) -> Result<Answer, AwsError> {
    let value = (setting.take)(&xml::parse(setting.root, &asked.body)?)?;
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let mut bucket = asked.bucket(cx)?;
    bucket.properties.insert(setting.property.to_owned(), value);
    BUCKETS.put(cx, &bucket)?;
    Ok(Answer::empty(200))
}

fn get(cx: &Context, asked: &Asked, setting: &Setting) -> Result<Answer, AwsError> {
    let bucket = asked.bucket(cx)?;
    let content = (setting.give)(bucket.properties.get(setting.property))?;
    Ok(Answer::xml(xml::document(setting.root, &content)))
}
