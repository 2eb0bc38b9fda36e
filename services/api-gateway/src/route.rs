//! Which path belongs to which service, and who may take it.

use http::Method;
use http::uri::PathAndQuery;
use kit::{Problem, Role};

use crate::peer::Peer;

/// Who may take a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anyone,
    /// Whoever has a token that holds.
    Users,
    Admins,
}

impl Who {
    /// Whether this role may.
    pub fn admits(self, role: Role) -> bool {
        self != Who::Admins || role == Role::Admin
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    /// The public path, with the first segment that the service does not see.
    pub path: &'static str,
    /// Whether the paths below it belong to it, too.
    pub below: bool,
    pub peer: Peer,
    who: Who,
    /// Who may delete.
    delete: Who,
    /// Whether the service does a POST here once for each Idempotency-Key.
    pub keyed: bool,
}

/// Every route that is sent on; all else is 404.
pub const ROUTES: &[Route] = &[
    exactly("/auth/login", Peer::Auth, Who::Anyone),
    exactly("/auth/validate", Peer::Auth, Who::Anyone),
    exactly("/auth/refresh", Peer::Auth, Who::Anyone),
    exactly("/auth/logout", Peer::Auth, Who::Anyone),
    exactly("/auth/signup", Peer::Auth, Who::Anyone),
    exactly("/auth/.well-known/jwks.json", Peer::Auth, Who::Anyone),
    below("/auth/users", Peer::Auth, Who::Admins),
    Route {
        delete: Who::Admins,
        keyed: true,
        ..below("/api/patients", Peer::Patient, Who::Users)
    },
    below("/api/families", Peer::Patient, Who::Users),
    below("/api/billing", Peer::Billing, Who::Admins),
    below("/api/analytics", Peer::Analytics, Who::Admins),
    below("/api/notifications", Peer::Notification, Who::Users),
];

const fn exactly(path: &'static str, peer: Peer, who: Who) -> Route {
    Route {
        path,
        below: false,
        peer,
        who,
        delete: who,
        keyed: false,
    }
}

const fn below(path: &'static str, peer: Peer, who: Who) -> Route {
    Route {
        below: true,
        ..exactly(path, peer, who)
    }
}

impl Route {
    /// Who may take it with this method.
    pub fn who(&self, method: &Method) -> Who {
        if method == Method::DELETE {
            self.delete
        } else {
            self.who
        }
    }

    /// The first segment, such as `/api`, which the service does not see.
    pub fn prefix(&self) -> &'static str {
        let end = self.path[1..].find('/').map_or(self.path.len(), |at| at + 1);
        &self.path[..end]
    }
}

/// The path without its first segment; 400 when it is not in its plain form.
///
/// Dot segments, empty segments, and encoded slashes or dots could be read differently by the service, which must see
/// the very path that was checked here (RFC 3986, 6.2.2).
pub fn stripped(prefix: &str, public: &PathAndQuery) -> Result<PathAndQuery, Problem> {
    let path = public.path();
    let lower = path.to_ascii_lowercase();
    let odd = ["%2e", "%2f", "%5c", "%00", "\\", "//"]
        .iter()
        .any(|part| lower.contains(part))
        || path.split('/').any(|segment| segment == "." || segment == "..");
    let rest = public
        .as_str()
        .strip_prefix(prefix)
        .filter(|rest| rest.starts_with('/'));
    match rest {
        Some(rest) if !odd => rest.parse().map_err(|_| Problem::bad_request("The path is malformed")),
        _ => Err(Problem::bad_request(
            "The path is not in its plain form: no dot or empty segments, no encoded slashes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_is_stripped_and_the_query_stays() {
        let seen = |prefix, path: &str| {
            stripped(prefix, &path.parse().unwrap())
                .map(|path| path.to_string())
                .ok()
        };
        assert_eq!(
            seen("/api", "/api/patients?search=a%2Fb").as_deref(),
            Some("/patients?search=a%2Fb")
        );
        assert_eq!(
            seen("/auth", "/auth/.well-known/jwks.json").as_deref(),
            Some("/.well-known/jwks.json")
        );
        for odd in [
            "/api/patients/../billing",
            "/api//patients",
            "/api/patients/%2e%2e/billing",
            "/api/patients/%2Fx",
        ] {
            assert_eq!(seen("/api", odd), None, "{odd}");
        }
    }

    #[test]
    fn only_admins_delete_patients_and_see_billing() {
        let route = |path| ROUTES.iter().find(|route| route.path == path).unwrap();
        assert_eq!(route("/api/patients").who(&Method::GET), Who::Users);
        assert_eq!(route("/api/patients").who(&Method::DELETE), Who::Admins);
        assert_eq!(route("/api/families").who(&Method::DELETE), Who::Users);
        assert!(!route("/api/billing").who(&Method::GET).admits(Role::User));
        assert!(route("/api/billing").who(&Method::GET).admits(Role::Admin));
        assert_eq!(route("/auth/users").prefix(), "/auth");
    }
}
