//! The table of routes: the service of each path, and the access that it requires.

use http::Method;
use http::uri::PathAndQuery;
use kit::{Problem, Role};

use crate::backend::Backend;

/// Access that a route requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No token.
    Public,
    /// A valid token of a user with one of these roles.
    Roles(&'static [Role]),
}

impl Access {
    /// A valid token of any role.
    pub const AUTHENTICATED: Self = Self::Roles(&[Role::User, Role::Admin, Role::Auditor]);
    /// A valid token of a user who works with patients.
    pub const USERS: Self = Self::Roles(&[Role::User, Role::Admin]);
    /// A valid token of an administrator.
    pub const ADMINS: Self = Self::Roles(&[Role::Admin]);
    /// A valid token of an auditor.
    pub const AUDITORS: Self = Self::Roles(&[Role::Auditor]);

    /// A valid token of an auditor or an administrator.
    pub const AUDITORS_AND_ADMINS: Self = Self::Roles(&[Role::Auditor, Role::Admin]);

    /// Returns true if a caller with this role has access.
    pub fn allows(self, role: Role) -> bool {
        match self {
            Self::Public => true,
            Self::Roles(roles) => roles.contains(&role),
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    /// The public path.
    pub path: &'static str,
    /// True if the paths below `path` belong to the route.
    pub has_subpaths: bool,
    /// False if the service receives the path with its first segment.
    is_stripped: bool,
    /// The service that handles the route.
    pub backend: Backend,
    access: Access,
    delete_access: Access,
    /// Access of the paths below that end with this segment.
    segment_access: Option<(&'static str, Access)>,
    /// True if the service executes a POST once for each Idempotency-Key.
    pub is_idempotent_post: bool,
}

/// All routes that are sent to a service; every other path is 404.
pub const ROUTES: &[Route] = &[
    exact("/auth/login", Backend::Auth, Access::Public),
    exact("/auth/validate", Backend::Auth, Access::Public),
    exact("/auth/refresh", Backend::Auth, Access::Public),
    exact("/auth/logout", Backend::Auth, Access::Public),
    exact("/auth/signup", Backend::Auth, Access::Public),
    exact("/auth/oidc/login", Backend::Auth, Access::Public),
    exact("/auth/oidc/callback", Backend::Auth, Access::Public),
    exact("/auth/password", Backend::Auth, Access::AUTHENTICATED),
    exact("/auth/password/reset-request", Backend::Auth, Access::Public),
    exact("/auth/password/reset", Backend::Auth, Access::Public),
    exact("/auth/.well-known/jwks.json", Backend::Auth, Access::Public),
    subtree("/auth/users", Backend::Auth, Access::ADMINS),
    subtree("/auth/totp", Backend::Auth, Access::AUTHENTICATED),
    subtree("/auth/sessions", Backend::Auth, Access::AUTHENTICATED),
    Route {
        delete_access: Access::ADMINS,
        segment_access: Some(("/history", Access::AUDITORS_AND_ADMINS)),
        is_idempotent_post: true,
        ..subtree("/api/patients", Backend::Patient, Access::USERS)
    },
    Route {
        is_idempotent_post: true,
        ..subtree("/api/families", Backend::Patient, Access::USERS)
    },
    subtree("/api/billing", Backend::Billing, Access::ADMINS),
    subtree("/api/analytics", Backend::Analytics, Access::ADMINS),
    subtree("/api/notifications", Backend::Notification, Access::USERS),
    Route {
        segment_access: Some(("/export", Access::ADMINS)),
        ..subtree("/api/audit", Backend::Audit, Access::AUDITORS)
    },
    unstripped(exact("/fhir/metadata", Backend::Patient, Access::Public)),
    unstripped(subtree("/fhir/Patient", Backend::Patient, Access::USERS)),
    unstripped(subtree("/fhir/AuditEvent", Backend::Audit, Access::AUDITORS)),
];

const fn exact(path: &'static str, backend: Backend, access: Access) -> Route {
    Route {
        path,
        has_subpaths: false,
        is_stripped: true,
        backend,
        access,
        delete_access: access,
        segment_access: None,
        is_idempotent_post: false,
    }
}

const fn subtree(path: &'static str, backend: Backend, access: Access) -> Route {
    Route {
        has_subpaths: true,
        ..exact(path, backend, access)
    }
}

const fn unstripped(route: Route) -> Route {
    Route {
        is_stripped: false,
        ..route
    }
}

impl Route {
    /// Returns the access that this method requires of a path.
    pub fn access(&self, method: &Method, path: &str) -> Access {
        match self.segment_access {
            _ if method == Method::DELETE => self.delete_access,
            Some((segment, access)) if path.ends_with(segment) => access,
            _ => self.access,
        }
    }

    /// Returns what the service does not receive of the path: its first segment, such as `/api`, or nothing.
    pub fn prefix(&self) -> &'static str {
        if !self.is_stripped {
            return "";
        }
        let end = self.path[1..].find('/').map_or(self.path.len(), |at| at + 1);
        &self.path[..end]
    }
}

/// Returns the path without its first segment.
///
/// Dot segments, empty segments, and encoded slashes or dots are rejected: the service could interpret them differently,
/// and it must receive exactly the path that was checked here (RFC 3986, 6.2.2).
///
/// # Errors
/// 400 if the path is not in its normal form.
pub fn strip_prefix(prefix: &str, public: &PathAndQuery) -> Result<PathAndQuery, Problem> {
    let path = public.path();
    let lower = path.to_ascii_lowercase();
    let is_ambiguous = ["%2e", "%2f", "%5c", "%00", "\\", "//"]
        .iter()
        .any(|part| lower.contains(part))
        || path.split('/').any(|segment| segment == "." || segment == "..");
    let rest = public
        .as_str()
        .strip_prefix(prefix)
        .filter(|rest| rest.starts_with('/'));
    match rest {
        Some(rest) if !is_ambiguous => rest.parse().map_err(|_| Problem::bad_request("The path is malformed")),
        _ => Err(Problem::bad_request(
            "The path is not in its normal form: remove dot segments, empty segments and encoded slashes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_is_removed_and_the_query_stays() {
        let stripped = |prefix, path: &str| {
            strip_prefix(prefix, &path.parse().unwrap())
                .map(|path| path.to_string())
                .ok()
        };
        assert_eq!(
            stripped("/api", "/api/patients?search=a%2Fb").as_deref(),
            Some("/patients?search=a%2Fb")
        );
        assert_eq!(
            stripped("/auth", "/auth/.well-known/jwks.json").as_deref(),
            Some("/.well-known/jwks.json")
        );
        assert_eq!(
            stripped("", "/fhir/Patient?name=a").as_deref(),
            Some("/fhir/Patient?name=a")
        );
        assert_eq!(stripped("", "/fhir/Patient/../metadata"), None);
        for ambiguous in [
            "/api/patients/../billing",
            "/api//patients",
            "/api/patients/%2e%2e/billing",
            "/api/patients/%2Fx",
        ] {
            assert_eq!(stripped("/api", ambiguous), None, "{ambiguous}");
        }
    }

    #[test]
    fn only_admins_delete_patients_and_read_billing() {
        let route = |path| ROUTES.iter().find(|route| route.path == path).unwrap();
        let access = |path| route(path).access(&Method::GET, path);
        let deletion = |path| route(path).access(&Method::DELETE, path);
        assert_eq!(access("/api/patients"), Access::USERS);
        assert_eq!(deletion("/api/patients"), Access::ADMINS);
        assert_eq!(deletion("/api/families"), Access::USERS);
        assert!(!access("/api/billing").allows(Role::User));
        assert!(access("/api/billing").allows(Role::Admin));
        let auditor = |row: &&Route| row.path.starts_with("/api/") && row.access.allows(Role::Auditor);
        let auditors: Vec<_> = ROUTES.iter().filter(auditor).map(|row| row.path).collect();
        assert_eq!(auditors, ["/api/audit"], "an auditor has no access to patient data");
        let history = route("/api/patients").access(&Method::GET, "/api/patients/1/history");
        assert_eq!(history, Access::AUDITORS_AND_ADMINS);
        let export = route("/api/audit").access(&Method::GET, "/api/audit/patients/1/export");
        assert_eq!(export, Access::ADMINS);
        assert_eq!(route("/auth/users").prefix(), "/auth");
        assert_eq!(route("/fhir/Patient").prefix(), "");
    }
}
