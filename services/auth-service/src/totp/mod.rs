//! The second factor of accounts with a password: codes of an authenticator (RFC 6238), and recovery codes.

mod code;
mod store;

pub use code::{Secret, parse_code};
pub use store::{Enrolment, TotpError, accept, confirm, enrol, find, remove, reseal_all};
