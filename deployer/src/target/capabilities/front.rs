//! Where an endpoint's registry and load balancer are reached, where that is not where AWS has them.

use super::identity::{Identity, Kind};
use super::matrix::Capability;

impl Identity {
    /// Where the images of a repository are pushed to; none where there is no registry.
    pub fn push_address(&self, repository_uri: &str) -> Option<String> {
        if !self.lacks(Capability::RegistryAtItsUri) {
            return Some(repository_uri.to_owned());
        }
        let (_, repository) = repository_uri.split_once('/')?;
        // ministack's documentation, "ECR": the registry's protocol is served at the gateway
        (self.kind == Kind::Ministack).then(|| format!("{}/{repository}", self.authority()))
    }

    /// The base URL of the load balancer with this host name; none where it is as on AWS.
    pub fn front_door(&self, host: &str) -> Option<String> {
        match self.kind {
            // LocalStack's documentation, "Elastic Load Balancing": at the gateway's port, by host name
            Kind::LocalStack => {
                let port = self.authority().rsplit_once(':')?.1.to_owned();
                Some(format!("http://{host}:{port}"))
            }
            // ministack's load balancers are found by path, so that nobody has to resolve their names
            Kind::Ministack => {
                let (label, _) = host.split_once('.')?;
                let (name, _) = label.rsplit_once('-')?;
                Some(format!("{}/_alb/{name}", self.url))
            }
            _ => None,
        }
    }
}
