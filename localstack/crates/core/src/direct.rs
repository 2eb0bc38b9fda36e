//! Creation, change and deletion of resources by API calls, with the rules of their resource types: one implementation serves the
//! API of a service and CloudFormation.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::AwsError;
use crate::locks::KeyedLocks;
use crate::resource::{Desired, Initiated, Resource, ResourceType};

/// Marks the locks of resources, by type and physical id: two calls must not overwrite each other's change.
struct Changed;

impl Context {
    /// Creates a resource that belongs to no stack. `properties` have the form of a template, with `Tags`.
    ///
    /// # Errors
    /// The error of the resource type.
    pub async fn create_resource(&self, type_name: &str, properties: Value) -> Result<Resource, AwsError> {
        self.create_recorded_resource(type_name, properties, Initiated::default())
            .await
    }

    /// Creates a resource as `create_resource` does, and reports its physical id in the transaction that stores it, or before.
    ///
    /// # Errors
    /// The error of the resource type, or of the listener.
    pub async fn create_recorded_resource(
        &self,
        type_name: &str,
        properties: Value,
        initiated: Initiated,
    ) -> Result<Resource, AwsError> {
        let desired = Desired {
            initiated,
            ..Desired::outside_stacks(properties)
        };
        Ok(self.known_type(type_name)?.create(self, &desired).await?)
    }

    /// Changes the properties of a resource, which have the form of a template. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// The error of `change`, or of the resource type.
    pub async fn update_resource(
        &self,
        type_name: &str,
        physical_id: &str,
        change: impl FnOnce(&mut Map<String, Value>) -> Result<(), AwsError> + Send,
    ) -> Result<Option<Resource>, AwsError> {
        let resource_type = self.known_type(type_name)?;
        let locks = self.extension::<KeyedLocks<Changed>>();
        let _guard = locks.lock(&format!("{type_name} {physical_id}")).await;
        let Some(previous) = resource_type.read(self, physical_id).await? else {
            return Ok(None);
        };
        let mut properties = previous.as_object().cloned().unwrap_or_default();
        change(&mut properties)?;
        let desired = Desired::outside_stacks(Value::Object(properties));
        let updated = resource_type.update(self, physical_id, &previous, &desired).await?;
        Ok(Some(updated))
    }

    /// Deletes a resource. Returns false if it does not exist.
    ///
    /// # Errors
    /// The error of the resource type, such as that of a resource in use.
    pub async fn delete_resource(&self, type_name: &str, physical_id: &str) -> Result<bool, AwsError> {
        let resource_type = self.known_type(type_name)?;
        let locks = self.extension::<KeyedLocks<Changed>>();
        let _guard = locks.lock(&format!("{type_name} {physical_id}")).await;
        let Some(properties) = resource_type.read(self, physical_id).await? else {
            return Ok(false);
        };
        resource_type.delete(self, physical_id, &properties).await?;
        Ok(true)
    }

    fn known_type(&self, name: &str) -> Result<Arc<dyn ResourceType>, AwsError> {
        let missing = || AwsError::internal(format!("The resource type {name} is not registered."));
        self.resource_type(name).ok_or_else(missing)
    }
}
