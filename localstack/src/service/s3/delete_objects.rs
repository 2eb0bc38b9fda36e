//! `DeleteObjects`.

use serde_json::{Value, json};

use super::request::S3Request;
use super::response::S3Response;
use super::{Address, Object, upload, xml};
use crate::records::WriteLock;
use crate::{AwsError, Context};

/// The number of keys that one call may name.
const MAX_KEYS: usize = 1000;

/// Deletes several objects; those that do not exist count as deleted.
pub fn delete(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let content = upload::content(&request.headers, request.body.clone())?;
    let document = xml::parse("Delete", &content)?;
    let desired = xml::list(&document["Object"]);
    if desired.is_empty() || desired.len() > MAX_KEYS {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(AwsError::new("MalformedXML", message));
    }
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let bucket = request.bucket(cx)?.id;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in desired {
        let key = object["Key"].as_str().unwrap_or_default().to_owned();
        if object["VersionId"].as_str().is_some_and(|version| version != "null") {
            errors.push(json!({
                "Key": key, "VersionId": object["VersionId"], "Code": "NoSuchVersion",
                "Message": "The specified version does not exist.",
            }));
            continue;
        }
        let address = Address {
            bucket: bucket.clone(),
            key,
        };
        if let Some(found) = Object::find(cx, &address)? {
            let tag = object["ETag"].as_str().map(|tag| tag.trim_matches('"'));
            if tag.is_some_and(|tag| tag != found.etag) {
                errors.push(json!({
                    "Key": address.key, "Code": "PreconditionFailed",
                    "Message": "At least one of the pre-conditions you specified did not hold",
                }));
                continue;
            }
            found.delete(cx)?;
        }
        deleted.push(json!({"Key": address.key}));
    }
    let shown: Vec<Value> = if document["Quiet"] == "true" {
        Vec::new()
    } else {
        deleted
    };
    let result = json!({"Deleted": shown, "Error": errors});
    Ok(S3Response::xml(xml::document("DeleteResult", &result)))
}
