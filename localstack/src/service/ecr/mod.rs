//! Amazon ECR: repositories, their images, and the registry to which images are pushed.

mod blobs;
mod images;
mod model;
mod operations;
mod policies;
mod put_image;
mod registry;
mod registry_settings;
mod repository;
#[cfg(test)]
mod tests;
mod unpack;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub use registry::registry;
pub use unpack::{Unpacked, unpack};

use crate::records::record_type;
use crate::{AwsError, Call, Context, ResourceType, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Ecr)
}

struct Ecr;

#[async_trait]
impl Service for Ecr {
    fn name(&self) -> &'static str {
        "ecr"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![record_type::<repository::Repository>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        operations::call(cx, &call).await
    }

    /// Deletes the uploads that the last run did not complete.
    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        blobs::Blobs::of(cx).delete_uploads()
    }
}
