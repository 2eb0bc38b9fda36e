//! Meaning of the database's errors.

use std::borrow::Cow;

/// Returns whether the server is unreachable, starting, stopping, or out of connections.
pub fn is_unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        // 57Pxx: operator intervention; 53300: too many connections; 08xxx: connection exceptions.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300"),
        _ => false,
    }
}

/// Returns whether a retry may succeed: the server [is unreachable](is_unreachable), or the statement was aborted in favour
/// of another one.
pub fn is_transient(error: &sqlx::Error) -> bool {
    is_unreachable(error) || is_serialization_failure(error)
}

/// Returns whether the statement was aborted because of concurrent ones: 40001 (serialization failure), 40P01 (deadlock),
/// 55P03 (lock not available), 57014 (longer than the statement timeout).
pub(super) fn is_serialization_failure(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| ["40001", "40P01", "55P03", "57014"].contains(&code.as_ref()))
}

/// Returns the name of the constraint that an insert or update violated.
pub fn violated_constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|error| error.constraint())
}

/// Returns the error as text without values of a row, which PostgreSQL's `detail` would contain.
pub fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            format!("{} (SQLSTATE {})", error.message(), error.code().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// Returns whether the TLS handshake failed, which a retry does not change: rustls reports a bad certificate as invalid data.
pub(super) fn is_certificate_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Returns whether the server rejected the password.
pub(super) fn is_invalid_password(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "28P01")
}

/// Returns whether the server rejected the login: 28P01 (invalid password), 28000 (invalid authorization specification).
pub(super) fn is_rejected_login(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "28P01" || code == "28000")
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}
