//! The services and resource types that a context knows.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use serde_json::Value;

use crate::context::Context;
use crate::error::AwsError;
use crate::resource::ResourceType;
use crate::service::{Call, Service};
use crate::wire;

/// Set once, when the endpoint is assembled.
#[derive(Default)]
struct Registry {
    services: OnceLock<Vec<Arc<dyn Service>>>,
    types: OnceLock<HashMap<&'static str, Arc<dyn ResourceType>>>,
}

impl Context {
    /// Registers the services of all regions, in the order in which they start, and their resource types. Only the first call has an
    /// effect.
    pub fn register(&self, services: Vec<Arc<dyn Service>>) {
        let registry = self.shared::<Registry>();
        let types = services.iter().flat_map(|service| service.types());
        let _ = registry.types.set(types.map(|one| (one.name(), one)).collect());
        let _ = registry.services.set(services);
    }

    /// Returns the services, in the order in which they start.
    pub fn services(&self) -> Vec<Arc<dyn Service>> {
        self.shared::<Registry>().services.get().cloned().unwrap_or_default()
    }

    /// Starts each service in this region.
    ///
    /// # Errors
    /// When a service cannot be started.
    pub async fn start_services(&self) -> anyhow::Result<()> {
        for service in self.services() {
            let started = service.start(self).await;
            started.with_context(|| format!("cannot start {}", service.name()))?;
        }
        Ok(())
    }

    /// Stops each service in this region, in the reverse order.
    pub(crate) async fn stop_services(&self) {
        for service in self.services().iter().rev() {
            service.stop(self).await;
        }
    }

    /// Returns a service by its signing name, such as `ec2`.
    pub fn service(&self, name: &str) -> Option<Arc<dyn Service>> {
        let registry = self.shared::<Registry>();
        registry
            .services
            .get()?
            .iter()
            .find(|service| service.name() == name)
            .cloned()
    }

    /// Returns a resource type by its name, such as `AWS::Logs::LogGroup`.
    pub fn resource_type(&self, name: &str) -> Option<Arc<dyn ResourceType>> {
        self.shared::<Registry>().types.get()?.get(name).cloned()
    }

    /// Calls an operation of a service as a client would, without the wire protocol.
    ///
    /// # Errors
    /// `NotImplemented` for an unknown service, otherwise the error of the operation.
    pub async fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value, AwsError> {
        let Some(found) = self.service(service) else {
            return Err(AwsError::not_implemented(service, operation));
        };
        let cx = self.for_service(service);
        let call = Call {
            operation: operation.to_owned(),
            input,
            region: self.region().to_owned(),
        };
        let output = found.call(&cx, call).await?;
        wire::check_output(service, operation, &output);
        Ok(output)
    }
}
