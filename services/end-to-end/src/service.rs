//! The services of the platform.

/// A service of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Users, sessions and signing keys.
    Auth,
    /// Billing accounts.
    Billing,
    /// Patients and families.
    Patient,
    /// Statistics.
    Analytics,
    /// Notifications of patients.
    Notification,
    /// The audit trail.
    Audit,
    /// The public entry point.
    Gateway,
}

impl Service {
    /// Every service.
    pub const ALL: [Service; 7] = [
        Service::Auth,
        Service::Billing,
        Service::Patient,
        Service::Analytics,
        Service::Notification,
        Service::Audit,
        Service::Gateway,
    ];

    /// Returns the name of its package and binary.
    pub fn name(self) -> &'static str {
        match self {
            Service::Auth => "auth-service",
            Service::Billing => "billing-service",
            Service::Patient => "patient-service",
            Service::Analytics => "analytics-service",
            Service::Notification => "notification-service",
            Service::Audit => "audit-service",
            Service::Gateway => "api-gateway",
        }
    }

    /// Returns the name of its database, if it has one.
    pub fn database(self) -> Option<&'static str> {
        match self {
            Service::Auth => Some("auth"),
            Service::Billing => Some("billing"),
            Service::Patient => Some("patient"),
            Service::Analytics => Some("analytics"),
            Service::Notification => Some("notification"),
            Service::Audit => Some("audit"),
            Service::Gateway => None,
        }
    }

    /// Returns whether it is a client of the broker.
    pub fn uses_kafka(self) -> bool {
        matches!(
            self,
            Service::Billing | Service::Patient | Service::Analytics | Service::Notification | Service::Audit
        )
    }

    /// Returns the environment variable with its base URL at its peers.
    pub fn url_variable(self) -> &'static str {
        match self {
            Service::Auth => "AUTH_SERVICE_URL",
            Service::Billing => "BILLING_SERVICE_URL",
            Service::Patient => "PATIENT_SERVICE_URL",
            Service::Analytics => "ANALYTICS_SERVICE_URL",
            Service::Notification => "NOTIFICATION_SERVICE_URL",
            Service::Audit => "AUDIT_SERVICE_URL",
            Service::Gateway => "API_GATEWAY_URL",
        }
    }
}
