//! What a test's system is made of.

use std::collections::BTreeMap;

use crate::Service;

/// What a system consists of.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) services: Vec<Service>,
    pub(crate) replicas: BTreeMap<Service, usize>,
    pub(crate) env: Vec<(Option<Service>, String, String)>,
    pub(crate) demo_patients: bool,
}

impl Default for Options {
    /// Every service once, the demo's admin, and no patients.
    fn default() -> Self {
        Self {
            services: Service::ALL.to_vec(),
            replicas: BTreeMap::new(),
            env: Vec::new(),
            demo_patients: false,
        }
    }
}

impl Options {
    /// Only these services.
    pub fn only(mut self, services: impl IntoIterator<Item = Service>) -> Self {
        self.services = services.into_iter().collect();
        self
    }

    /// So many processes of a service; 0 leaves its front door closed until one is added.
    pub fn replicas(mut self, service: Service, count: usize) -> Self {
        self.replicas.insert(service, count);
        self
    }

    /// A variable for one service.
    pub fn env(mut self, service: Service, name: &str, value: impl Into<String>) -> Self {
        self.env.push((Some(service), name.to_owned(), value.into()));
        self
    }

    /// A variable for all services.
    pub fn env_for_all(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((None, name.to_owned(), value.into()));
        self
    }

    /// The 15 patients of the demo.
    pub fn demo_patients(mut self) -> Self {
        self.demo_patients = true;
        self
    }
}
