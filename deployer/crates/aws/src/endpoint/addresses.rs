//! Addresses of an endpoint's registry and load balancers, if they differ from those of AWS.

use super::{Capability, Endpoint, EndpointKind};

impl Endpoint {
    /// Returns the address to which images of a repository are pushed; `None` without a registry.
    pub fn push_address(&self, repository_uri: &str) -> Option<String> {
        if !self.lacks(Capability::RegistryAtUri) {
            return Some(repository_uri.to_owned());
        }
        let (_, repository) = repository_uri.split_once('/')?;
        // ministack's documentation, "ECR": the gateway serves the registry's protocol.
        (self.kind == EndpointKind::Ministack).then(|| format!("{}/{repository}", self.authority()))
    }

    /// Returns the base URL of the load balancer with this host name; `None` if it is as on AWS.
    pub fn load_balancer_url(&self, host: &str) -> Option<String> {
        match self.kind {
            // LocalStack's documentation, "Elastic Load Balancing": at the gateway's port, by host name.
            EndpointKind::LocalStack => {
                let port = self.authority().rsplit_once(':')?.1.to_owned();
                Some(format!("http://{host}:{port}"))
            }
            // ministack routes to load balancers by path, so that their names need not be resolved.
            EndpointKind::Ministack => {
                let (label, _) = host.split_once('.')?;
                let (name, _) = label.rsplit_once('-')?;
                Some(format!("{}/_alb/{name}", self.url))
            }
            _ => None,
        }
    }
}
