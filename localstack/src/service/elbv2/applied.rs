//! A resource type whose every change is brought to the running proxy at once.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::wanted;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

pub fn applied(inner: Arc<dyn ResourceType>) -> Arc<dyn ResourceType> {
    Arc::new(Applied(inner))
}

struct Applied(Arc<dyn ResourceType>);

#[async_trait]
impl ResourceType for Applied {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn schema(&self) -> Schema {
        self.0.schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let made = self.0.create(cx, desired).await?;
        if let Err(error) = wanted::apply(cx) {
            self.0.delete(cx, &made.physical_id, &desired.properties).await?;
            wanted::apply(cx)?;
            return Err(error.into());
        }
        Ok(made)
    }

    async fn update(&self, cx: &Context, id: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let made = self.0.update(cx, id, previous, desired).await?;
        wanted::apply(cx)?;
        Ok(made)
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Value) -> Result<(), Failure> {
        self.0.delete(cx, id, properties).await?;
        Ok(wanted::apply(cx)?)
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        self.0.read(cx, id).await
    }
}
