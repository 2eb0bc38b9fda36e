//! Single sign-on: OpenID Connect, authorization code flow with PKCE, against one external provider.
//!
//! The browser is sent to the provider with a state, a nonce and a PKCE challenge, and carries what belongs to them in a sealed
//! cookie. The code that it brings back is exchanged for an ID token, whose claims become a user and a role of this service.

mod claims;
mod error;
mod http_client;
mod id_token;
mod pending_login;
mod provider;
mod settings;

pub mod account;

pub use claims::Identity;
pub use error::OidcError;
pub use pending_login::{PendingLogin, delete_expired};
pub use provider::Provider;
pub use settings::{OidcArgs, RoleMap, Settings};
