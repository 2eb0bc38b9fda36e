//! The environment of a service, as a deployment would set it.

use std::collections::BTreeMap;

use super::System;
use crate::{Link, Service, postgres};

impl System {
    /// Returns the variables of a service, those of the test's options included.
    pub(super) fn environment(&self, service: Service) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([("RUST_LOG".to_owned(), "info".to_owned())]);
        if let Some(database) = service.database() {
            let port = self.link(Link::Postgres(service)).port();
            env.extend(postgres::environment(port, database, self.secret("DATABASE_PASSWORD")));
        }
        if service.uses_kafka() {
            let kafka = self.link(Link::Kafka(service)).address();
            env.insert("KAFKA_BOOTSTRAP_SERVERS".into(), kafka);
        }
        if service != Service::Auth {
            env.insert(Service::Auth.url_variable().into(), self.base(Service::Auth));
        }
        let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
        match service {
            Service::Auth => {
                set("SEED_DEMO_DATA", "true");
                set("AUTH_KEY_ENCRYPTION_KEY", self.secret("AUTH_KEY_ENCRYPTION_KEY"));
            }
            Service::Patient => {
                set(
                    "SEED_DEMO_DATA",
                    if self.options.demo_patients { "true" } else { "false" },
                );
                set("BILLING_SERVICE_ADDRESS", &self.link(Link::Grpc).address());
                set("BILLING_LINK_SECRET", self.secret("BILLING_LINK_SECRET"));
            }
            Service::Billing => {
                set("BILLING_LINK_SECRET", self.secret("BILLING_LINK_SECRET"));
            }
            Service::Gateway => {
                // The load of a test comes from one address and few users.
                set("RATE_LIMIT_PER_SECOND", "5000");
                set("RATE_LIMIT_BURST", "10000");
                set("MAX_CONCURRENT_REQUESTS_PER_CALLER", "1024");
                for peer in Service::ALL.into_iter().filter(|peer| *peer != Service::Gateway) {
                    set(peer.url_variable(), &self.base(peer));
                }
            }
            Service::Notification => {
                set("SMTP_URL", &self.mail.url());
                set("MAIL_FROM", "Patient Management <noreply@example.org>");
            }
            Service::Analytics | Service::Audit => {}
        }
        for (only, name, value) in &self.options.env {
            if only.is_none_or(|only| only == service) {
                env.insert(name.clone(), value.clone());
            }
        }
        env
    }
}
