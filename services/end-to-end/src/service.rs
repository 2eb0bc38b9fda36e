//! The services of the platform.

/// One of the six.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Auth,
    Billing,
    Patient,
    Analytics,
    Notification,
    Gateway,
}

impl Service {
    /// Every service.
    pub const ALL: [Service; 6] = [
        Service::Auth,
        Service::Billing,
        Service::Patient,
        Service::Analytics,
        Service::Notification,
        Service::Gateway,
    ];

    /// The name of its package and binary.
    pub fn name(self) -> &'static str {
        match self {
            Service::Auth => "auth-service",
            Service::Billing => "billing-service",
            Service::Patient => "patient-service",
            Service::Analytics => "analytics-service",
            Service::Notification => "notification-service",
            Service::Gateway => "api-gateway",
        }
    }

    /// Its database, if it has one.
    pub fn database(self) -> Option<&'static str> {
        match self {
            Service::Auth => Some("auth"),
            Service::Billing => Some("billing"),
            Service::Patient => Some("patient"),
            Service::Analytics => Some("analytics"),
            Service::Notification => Some("notification"),
            Service::Gateway => None,
        }
    }

    /// Whether it talks to the broker.
    pub fn uses_kafka(self) -> bool {
        matches!(self, Service::Patient | Service::Analytics | Service::Notification)
    }

    /// The variable in which its peers are told its base URL.
    pub fn url_variable(self) -> &'static str {
        match self {
            Service::Auth => "AUTH_SERVICE_URL",
            Service::Billing => "BILLING_SERVICE_URL",
            Service::Patient => "PATIENT_SERVICE_URL",
            Service::Analytics => "ANALYTICS_SERVICE_URL",
            Service::Notification => "NOTIFICATION_SERVICE_URL",
            Service::Gateway => "API_GATEWAY_URL",
        }
    }
}
