//! The services and resource types that a context knows.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::context::Context;
use crate::error::AwsError;
use crate::resource::ResourceType;
use crate::service::{Call, Service};
use crate::wire;

/// Set once, when the endpoint is assembled.
#[derive(Default)]
struct Registry {
    services: OnceLock<HashMap<&'static str, Arc<dyn Service>>>,
    types: OnceLock<HashMap<&'static str, Arc<dyn ResourceType>>>,
}

impl Context {
    /// Registers the services and their resource types. Only the first call has an effect.
    pub fn register(&self, services: Vec<Arc<dyn Service>>) {
        let registry = self.extension::<Registry>();
        let types = services.iter().flat_map(|service| service.types());
        let _ = registry.types.set(types.map(|one| (one.name(), one)).collect());
        let services = services.into_iter().map(|service| (service.name(), service));
        let _ = registry.services.set(services.collect());
    }

    /// Returns a service by its signing name, such as `ec2`.
    pub fn service(&self, name: &str) -> Option<Arc<dyn Service>> {
        self.extension::<Registry>().services.get()?.get(name).cloned()
    }

    /// Returns a resource type by its name, such as `AWS::Logs::LogGroup`.
    pub fn resource_type(&self, name: &str) -> Option<Arc<dyn ResourceType>> {
        self.extension::<Registry>().types.get()?.get(name).cloned()
    }

    /// Calls an operation of a service as a client would, without the wire protocol.
    ///
    /// # Errors
    /// `NotImplemented` for an unknown service, otherwise the error of the operation.
    pub async fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value, AwsError> {
        let Some(found) = self.service(service) else {
            return Err(AwsError::not_implemented(service, operation));
        };
        let call = Call {
            operation: operation.to_owned(),
            input,
            region: self.region().to_owned(),
        };
        let output = found.call(self, call).await?;
        wire::check_output(service, operation, &output);
        Ok(output)
    }
}
