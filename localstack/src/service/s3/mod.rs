//! S3: buckets, shared with `AWS::S3::Bucket`, and objects of one upload each, as uploading a template needs them.
//!
//! S3 does not use the protocols of [`crate::wire`] (a bucket may be part of the host, bodies are bytes or XML);
//! [`router`] is its router. Objects are files in the state directory, readable only by their owner. Settings (public
//! access, encryption, lifecycle) are stored and returned, but not applied: nothing is encrypted, and nothing expires.

mod address;
mod bucket;
mod buckets;
mod condition;
mod copy;
mod delete_objects;

mod listing;
mod object;
mod objects;
mod operation;
mod request;
mod response;
mod router;
mod settings;
mod subresource;
mod upload;
mod xml;

#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub use address::Address;
use object::Object;
pub use router::{handle, is_s3_request};

pub fn service() -> Arc<dyn Service> {
    Arc::new(S3)
}

struct S3;

#[async_trait]
impl Service for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn is_global(&self) -> bool {
        true
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![record_type::<bucket::Bucket>(), record_type::<bucket::BucketPolicy>()]
    }

    /// Rejects every call: S3 has no operation in the protocols of `wire`.
    async fn call(&self, _cx: &Context, call: Call) -> Result<Value, AwsError> {
        Err(AwsError::not_implemented("s3", &call.operation))
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        object::delete_unreferenced(cx)
    }
}

fn no_such_bucket() -> AwsError {
    AwsError::new("NoSuchBucket", "The specified bucket does not exist").with_status(404)
}

/// Reads an object.
///
/// # Errors
/// Returns `NoSuchBucket` or `NoSuchKey` if it does not exist, and an internal error if its file cannot be read.
pub fn read(cx: &Context, address: &Address) -> Result<Vec<u8>, AwsError> {
    if bucket::BUCKETS.get(cx, &address.bucket)?.is_none() {
        return Err(no_such_bucket());
    }
    Object::get(cx, address)?.content(cx)
}
