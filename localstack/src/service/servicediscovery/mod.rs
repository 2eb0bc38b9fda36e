//! AWS Cloud Map: namespaces, services and their instances.

mod filter;
mod instance;
mod instances;
mod model;
mod namespace;
mod operation;
mod service;
mod tagging;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub(crate) use instance::{Name, names};
use namespace::{Http, PrivateDns, PublicDns};

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
            record_type::<namespace::Namespace<PrivateDns>>(),
            record_type::<namespace::Namespace<PublicDns>>(),
            record_type::<namespace::Namespace<Http>>(),
            record_type::<service::DiscoveryService>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "ListNamespaces" => namespace::list(cx, &call),
            "CreatePrivateDnsNamespace" => namespace::create::<PrivateDns>(cx, &call).await,
            "UpdatePrivateDnsNamespace" => namespace::update::<PrivateDns>(cx, &call).await,
            "CreatePublicDnsNamespace" => namespace::create::<PublicDns>(cx, &call).await,
            "UpdatePublicDnsNamespace" => namespace::update::<PublicDns>(cx, &call).await,
            "CreateHttpNamespace" => namespace::create::<Http>(cx, &call).await,
            "UpdateHttpNamespace" => namespace::update::<Http>(cx, &call).await,
            "DeleteNamespace" => namespace::delete(cx, &call).await,
            "GetOperation" => operation::get(cx, &call),
            "ListOperations" => operation::list(cx, &call),
            "CreateService" => service::create(cx, &call).await,
            "UpdateService" => service::update(cx, &call).await,
            "DeleteService" => service::delete(cx, &call).await,
            "ListTagsForResource" | "TagResource" | "UntagResource" => tagging::call(cx, &call),
            "GetNamespace" => namespace::get(cx, &call),
            "ListServices" => service::list(cx, &call),
            "GetService" => service::get(cx, &call),
            "RegisterInstance" => instances::register(cx, &call),
            "DeregisterInstance" => instances::deregister(cx, &call),
            "GetInstance" => instances::get(cx, &call),
            "ListInstances" => instances::list(cx, &call),
            "GetInstancesHealthStatus" => instances::health(cx, &call),
            "UpdateInstanceCustomHealthStatus" => instances::set_health(cx, &call),
            "DiscoverInstances" => instances::discover(cx, &call),
            "DiscoverInstancesRevision" => instances::revision(cx, &call),
            other => Err(AwsError::not_implemented("servicediscovery", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::testing::context_with;

    #[tokio::test]
    async fn a_namespace_and_a_service_are_made_and_deleted_by_the_api() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("servicediscovery", operation, input).await;
        let desired = json!({"Name": "shop.local", "Vpc": "vpc-1", "Tags": [{"Key": "a", "Value": "b"}]});
        let started = call("CreatePrivateDnsNamespace", desired).await.unwrap();
        let operation = call("GetOperation", started).await.unwrap()["Operation"].clone();
        assert_eq!(operation["Status"], "SUCCESS");
        let namespace = operation["Targets"]["NAMESPACE"].clone();
        let dns = json!({"DnsRecords": [{"Type": "A", "TTL": 10}]});
        let desired = json!({"Name": "web", "NamespaceId": namespace, "DnsConfig": dns});
        let made = call("CreateService", desired).await.unwrap()["Service"].clone();
        let change = json!({"Id": made["Id"], "Service": {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 20}]}}});
        call("UpdateService", change).await.unwrap();
        let shown = call("GetService", json!({"Id": made["Id"]})).await.unwrap();
        assert_eq!(shown["Service"]["DnsConfig"]["DnsRecords"][0]["TTL"], 20);
        let used = call("DeleteNamespace", json!({"Id": namespace})).await.unwrap_err();
        assert_eq!(used.code, "ResourceInUse");
        let tags = json!({"ResourceARN": made["Arn"], "Tags": [{"Key": "c", "Value": "d"}]});
        call("TagResource", tags.clone()).await.unwrap();
        let listed = call("ListTagsForResource", tags).await.unwrap();
        assert_eq!(listed["Tags"], json!([{"Key": "c", "Value": "d"}]));
        let instance = json!({"ServiceId": made["Id"], "InstanceId": "i", "Attributes": {"slot": "a"}});
        call("RegisterInstance", instance.clone()).await.unwrap();
        let used = call("DeleteService", json!({"Id": made["Id"]})).await.unwrap_err();
        assert_eq!(used.code, "ResourceInUse");
        for (slot, count) in [("a", 1), ("b", 0)] {
            let query = json!({"NamespaceName": "shop.local", "ServiceName": "web", "QueryParameters": {"slot": slot}});
            let found = call("DiscoverInstances", query).await.unwrap();
            assert_eq!(found["Instances"].as_array().unwrap().len(), count);
        }
        call("DeregisterInstance", instance).await.unwrap();
        call("DeleteService", json!({"Id": made["Id"]})).await.unwrap();
        call("DeleteNamespace", json!({"Id": namespace})).await.unwrap();
    }
    #[tokio::test]
    async fn names_of_an_http_namespace_do_not_resolve() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("servicediscovery", operation, input).await;
        for operation in ["CreateHttpNamespace", "CreatePublicDnsNamespace"] {
            let started = call(operation, json!({"Name": "shop.example"})).await.unwrap();
            let operation = call("GetOperation", started).await.unwrap()["Operation"].clone();
            let dns = json!({"DnsRecords": [{"Type": "A", "TTL": 10}]});
            let desired = json!({"Name": "web", "NamespaceId": operation["Targets"]["NAMESPACE"], "DnsConfig": dns});
            call("CreateService", desired).await.unwrap();
        }
        let names = names(&cx).unwrap();
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].fqdn, "web.shop.example");
    }
}
