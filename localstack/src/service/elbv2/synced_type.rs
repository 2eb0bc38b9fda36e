//! A resource type whose changes are applied to the running proxy at once.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::sync;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

/// Wraps a resource type so that the proxy is updated after each of its changes. A creation that the proxy rejects is
/// undone.
pub fn synced(inner: Arc<dyn ResourceType>) -> Arc<dyn ResourceType> {
    Arc::new(SyncedType(inner))
}

struct SyncedType(Arc<dyn ResourceType>);

#[async_trait]
impl ResourceType for SyncedType {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn schema(&self) -> Schema {
        self.0.schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let created = self.0.create(cx, desired).await?;
        if let Err(error) = sync::apply(cx) {
            self.0.delete(cx, &created.physical_id, &desired.properties).await?;
            sync::apply(cx)?;
            return Err(error.into());
        }
        Ok(created)
    }

    async fn update(&self, cx: &Context, id: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let updated = self.0.update(cx, id, previous, desired).await?;
        sync::apply(cx)?;
        Ok(updated)
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Value) -> Result<(), Failure> {
        self.0.delete(cx, id, properties).await?;
        Ok(sync::apply(cx)?)
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        self.0.read(cx, id).await
    }
}
