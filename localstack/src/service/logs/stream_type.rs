//! `AWS::Logs::LogStream`.

use async_trait::async_trait;
use serde_json::Value;

use super::model;
use super::stream;
use crate::records::WriteLock;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

pub struct LogStream;

#[async_trait]
impl ResourceType for LogStream {
    fn name(&self) -> &'static str {
        "AWS::Logs::LogStream"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["LogGroupName", "LogStreamName"],
            required: &["LogGroupName"],
            create_only: &["LogGroupName", "LogStreamName"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let text = |property: &str| desired.properties[property].as_str().map(str::to_owned);
        let group = text("LogGroupName").unwrap_or_default();
        let name = text("LogStreamName").unwrap_or_else(|| desired.generated_name(512));
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        cx.store().transaction(|| -> Result<_, Failure> {
            stream::add(cx, &model::group(cx, &group)?.id, &name)?;
            desired.initiated.report(&name)?;
            Ok(())
        })?;
        Ok(Resource::new(name))
    }

    /// No property can be changed.
    async fn update(&self, _: &Context, name: &str, _: &Value, _: &Desired) -> Result<Resource, Failure> {
        Ok(Resource::new(name))
    }

    async fn delete(&self, cx: &Context, name: &str, properties: &Value) -> Result<(), Failure> {
        stream::remove(cx, properties["LogGroupName"].as_str().unwrap_or_default(), name)?;
        Ok(())
    }
}
