//! AWS Cloud Map: namespaces, services and their instances.

mod instance;
mod model;
mod namespace;
mod service;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub(crate) use instance::{Name, names};

use crate::records::record_type;
use crate::service::{Call, Service};
use crate::{AwsError, Context, ResourceType};

/// Returns the Cloud Map service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(ServiceDiscovery)
}

struct ServiceDiscovery;

#[async_trait]
impl Service for ServiceDiscovery {
    fn name(&self) -> &'static str {
        "servicediscovery"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<namespace::Namespace>(),
            record_type::<service::DiscoveryService>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "ListNamespaces" => namespace::list(cx, &call),
            "GetNamespace" => namespace::get(cx, &call),
            "ListServices" => service::list(cx, &call),
            "GetService" => service::get(cx, &call),
            "RegisterInstance" => instance::register(cx, &call),
            "DeregisterInstance" => instance::deregister(cx, &call),
            "ListInstances" => instance::list(cx, &call),
            "DiscoverInstances" => instance::discover(cx, &call),
            other => Err(AwsError::not_implemented("servicediscovery", other)),
        }
    }
}
