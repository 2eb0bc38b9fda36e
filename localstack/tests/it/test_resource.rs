//! A service with two resource types for tests of the engine: resources in memory that can be slow, or fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use embedded_endpoint::{AwsError, Call, Context, Desired, Failure, Resource, ResourceType, Schema, Service};
use serde_json::{Value, json};

/// The existing resources: physical id to properties.
pub type Resources = Arc<Mutex<BTreeMap<String, Value>>>;

/// The service, and the resource type `Test::Service::Resource`.
#[derive(Clone, Default)]
pub struct TestService(pub Resources);

#[async_trait]
impl Service for TestService {
    fn name(&self) -> &'static str {
        "test"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![Arc::new(self.clone()), Arc::new(WithSnapshots(self.clone()))]
    }

    async fn call(&self, _: &Context, call: Call) -> Result<Value, AwsError> {
        Err(AwsError::not_implemented("test", &call.operation))
    }
}

impl TestService {
    async fn put(&self, id: &str, desired: &Desired) -> Result<Resource, Failure> {
        let properties = &desired.properties;
        if let Some(reason) = properties["Fail"].as_str() {
            return Err(Failure::new(reason.to_owned()));
        }
        if properties["Slow"] == true {
            tokio::select! {
                () = desired.cancel.cancelled() => return Err(Failure::new("cancelled")),
                () = tokio::time::sleep(Duration::from_secs(30)) => {}
            }
        }
        self.0.lock().unwrap().insert(id.to_owned(), properties.clone());
        Ok(Resource::new(id).with("Value", properties["Value"].clone()))
    }
}

#[async_trait]
impl ResourceType for TestService {
    fn name(&self) -> &'static str {
        "Test::Service::Resource"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["Name", "Value", "Fail", "Slow", "FailDelete"],
            required: &["Name"],
            create_only: &["Name"],
            attributes: &["Value"],
            write_only: &[],
        }
    }

    async fn create(&self, _: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let name = desired.properties["Name"].as_str().unwrap_or_default().to_owned();
        if self.0.lock().unwrap().contains_key(&name) {
            return Err(Failure::new(format!("{name} already exists")));
        }
        self.put(&name, desired).await
    }

    async fn update(&self, _: &Context, id: &str, _: &Value, desired: &Desired) -> Result<Resource, Failure> {
        self.put(id, desired).await
    }

    async fn delete(&self, _: &Context, id: &str, properties: &Value) -> Result<(), Failure> {
        if properties["FailDelete"] == true {
            return Err(Failure::new(format!("{id} is in use")));
        }
        self.0.lock().unwrap().remove(id);
        Ok(())
    }

    async fn read(&self, _: &Context, id: &str) -> Result<Option<Value>, Failure> {
        Ok(self.0.lock().unwrap().get(id).cloned())
    }
}

/// The resource type `Test::Service::WithSnapshots`, which supports snapshots.
struct WithSnapshots(TestService);

#[async_trait]
impl ResourceType for WithSnapshots {
    fn name(&self) -> &'static str {
        "Test::Service::WithSnapshots"
    }

    fn schema(&self) -> Schema {
        self.0.schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        self.0.create(cx, desired).await
    }

    async fn update(&self, cx: &Context, id: &str, before: &Value, desired: &Desired) -> Result<Resource, Failure> {
        self.0.update(cx, id, before, desired).await
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Value) -> Result<(), Failure> {
        self.0.delete(cx, id, properties).await
    }

    fn supports_snapshots(&self) -> bool {
        true
    }

    async fn delete_with_snapshot(&self, cx: &Context, id: &str, last: &Value, name: &str) -> Result<(), Failure> {
        let snapshot = format!("{id} as {name}");
        self.0.0.lock().unwrap().insert(snapshot, last.clone());
        self.0.delete(cx, id, last).await
    }
}

/// Returns a resource for a template.
pub fn resource(name: &str, more: Value) -> Value {
    let mut properties = json!({"Name": name});
    if let Value::Object(more) = more {
        properties.as_object_mut().unwrap().extend(more);
    }
    json!({"Type": "Test::Service::Resource", "Properties": properties})
}
