//! Texts of deployed templates whose wording is fixed.
//!
//! They are older than the glossary. Another wording would update every deployed network and dashboard for no benefit, and a
//! changed rule is replaced. `scripts/check-language` leaves this file out.

/// Description of the load balancer's ingress, and reason of the path behind it.
pub const PUBLIC_LISTENER: &str = "the public door";
/// Reason why port 80 is open to the internet.
pub const PUBLIC_HTTP: &str =
    "the public door: port 80 redirects to HTTPS once ingress.certificate names a certificate";
/// Title of the load balancer's responses.
pub const RESPONSES: &str = "The door: answers a minute";
/// Title of the load balancer's response times.
pub const RESPONSE_TIMES: &str = "The door: seconds to answer";
/// Reason why AWS's own key encrypts.
pub const NO_CUSTOMER_KEY: &str =
    "encrypted under AWS's own key: a disposable environment does without one of its own (customer_key)";
