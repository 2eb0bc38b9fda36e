//! S3: buckets, shared with `AWS::S3::Bucket`, and objects of one upload each: what handing over a template takes.
//!
//! Its protocol is its own (a bucket may be part of the host, bodies are bytes or XML), so [`door`] answers it and not
//! [`crate::wire`]. Objects are files of the state directory, readable by their owner alone. Settings (public access,
//! encryption, lifecycle) are kept and given back; nothing is encrypted for them, and nothing expires.

mod address;
mod bucket;
mod buckets;
mod door;
mod listing;
mod name;
mod object;
mod objects;
mod settings;
mod upload;
mod xml;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub use address::Address;
pub use door::{answer, is_meant};
pub use object::Object;

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
        vec![record_type::<bucket::Bucket>(), record_type::<bucket::BucketPolicy>()]
    }

    /// The protocols of `wire` have no operation of S3.
    async fn call(&self, _cx: &Context, call: Call) -> Result<Value, AwsError> {
        Err(AwsError::not_implemented("s3", &call.operation))
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        object::sweep(cx)
    }
}

/// The bucket is not there.
fn no_bucket() -> AwsError {
    AwsError::new("NoSuchBucket", "The specified bucket does not exist").with_status(404)
}

/// The bytes of an object, or S3's own error.
pub fn read(cx: &Context, address: &Address) -> Result<Vec<u8>, AwsError> {
    if bucket::BUCKETS.get(cx, &address.bucket)?.is_none() {
        return Err(no_bucket());
    }
    Object::existing(cx, address)?.content(cx)
}
