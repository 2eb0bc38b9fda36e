//! AWS: the identity of this process, and the requests that services send without an SDK.
//!
//! Services sign three things: the token for MSK, and one request each to Secrets Manager and Amazon SES. The SDK would double the size of every
//! service for that.

mod api;
mod args;
mod credentials;
pub(crate) mod secret;
mod signature;

use std::sync::OnceLock;

pub(crate) use api::{Api, ApiError};
pub use args::IamArgs;
pub(crate) use credentials::{Credentials, Source};
pub(crate) use signature::{Scope, escape};

static ARGS: OnceLock<IamArgs> = OnceLock::new();

/// Stores the settings of the command line for [`identity`].
pub(crate) fn configure(args: IamArgs) {
    let _ = ARGS.set(args);
}

/// Returns the identity of the command line; an empty one in tests.
pub(crate) fn identity() -> IamArgs {
    ARGS.get().cloned().unwrap_or_default()
}
