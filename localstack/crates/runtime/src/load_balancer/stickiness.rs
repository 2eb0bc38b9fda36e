//! Sticky sessions: cookies that bind a client to a target ("Sticky sessions for your Application Load Balancer").

use std::time::Duration;

use aws_lc_rs::digest;
use http::header::{self, HeaderMap, HeaderValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::target::Target;

/// The cookies of the load balancer, which clients send back. The second one is for requests from other sites.
const OWN: [&str; 2] = ["AWSALB", "AWSALBCORS"];
const OF_APPLICATION: &str = "AWSALBAPP-0";

/// The attribute `stickiness.type` with its own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stickiness {
    /// `lb_cookie`: every response sets a cookie with this lifetime.
    LoadBalancer(Duration),
    /// `app_cookie`: bound while the client has the application's cookie.
    Application {
        /// The name of the application's cookie.
        cookie: String,
        /// The lifetime of the load balancer's cookie.
        duration: Duration,
    },
}

impl Stickiness {
    /// Returns the name of the target that the client is bound to.
    pub fn bound_to(&self, headers: &HeaderMap) -> Option<String> {
        match self {
            Self::LoadBalancer(_) => OWN.iter().find_map(|name| cookie(headers, name)),
            Self::Application { cookie: name, .. } => {
                cookie(headers, name)?;
                cookie(headers, OF_APPLICATION)
            }
        }
    }

    /// Binds the client to the target that responded.
    pub fn bind(&self, target: &Target, response: &mut HeaderMap, is_secure: bool) {
        let (names, duration) = match self {
            Self::LoadBalancer(duration) => (&OWN[..], *duration),
            Self::Application { cookie, duration } => {
                let prefix = format!("{cookie}=");
                let set = response.get_all(header::SET_COOKIE).iter();
                if !set
                    .into_iter()
                    .any(|value| value.as_bytes().starts_with(prefix.as_bytes()))
                {
                    return;
                }
                (&[OF_APPLICATION][..], *duration)
            }
        };
        let ends = (OffsetDateTime::now_utc() + duration)
            .format(&Rfc2822)
            .unwrap_or_default();
        let ends = ends.replace("+0000", "GMT");
        for name in names {
            let cors = match (*name, is_secure) {
                ("AWSALBCORS", true) => "; SameSite=None; Secure",
                ("AWSALBCORS", false) => "; SameSite=None",
                _ => "",
            };
            let text = format!("{name}={}; Expires={ends}; Path=/{cors}", target_name(target));
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.append(header::SET_COOKIE, value);
            }
        }
    }
}

/// Returns the name of a target in cookies, which does not show its address.
pub fn target_name(target: &Target) -> String {
    let hash = digest::digest(&digest::SHA256, target.address.to_string().as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}
