//! Options of a test's system.

use std::collections::BTreeMap;

use crate::Service;

/// The services of a system, their replicas and environment.
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    pub(crate) services: Vec<Service>,
    pub(crate) replicas: BTreeMap<Service, usize>,
    pub(crate) env: Vec<(Option<Service>, String, String)>,
    pub(crate) demo_patients: bool,
}

impl Default for Options {
    /// Returns every service once, with the admin of the demo data and without patients.
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
    /// Starts only these services.
    pub fn only(mut self, services: impl IntoIterator<Item = Service>) -> Self {
        self.services = services.into_iter().collect();
        self
    }

    /// Starts `count` processes of a service; with 0, its proxy refuses connections until one is added.
    pub fn replicas(mut self, service: Service, count: usize) -> Self {
        self.replicas.insert(service, count);
        self
    }

    /// Sets an environment variable of one service.
    pub fn env(mut self, service: Service, name: &str, value: impl Into<String>) -> Self {
        self.env.push((Some(service), name.to_owned(), value.into()));
        self
    }

    /// Sets an environment variable of all services.
    pub fn env_for_all(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((None, name.to_owned(), value.into()));
        self
    }

    /// Creates the 15 patients of the demo data.
    pub fn demo_patients(mut self) -> Self {
        self.demo_patients = true;
        self
    }
}
