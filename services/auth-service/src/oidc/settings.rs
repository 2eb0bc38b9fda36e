//! Settings of single sign-on.

use anyhow::{Context, ensure};
use clap::Args;
use kit::token::Role;
use secrecy::SecretString;
use time::Duration;
use url::{Host, Url};

/// The identity provider; each is an option and an environment variable.
#[derive(Debug, Args)]
pub struct OidcArgs {
    /// Issuer of the identity provider for single sign-on, exactly as its discovery document says; without it there is no single sign-on
    #[arg(long, env, default_value = "")]
    pub oidc_issuer: String,
    /// Id of this system at the provider
    #[arg(long, env, default_value = "")]
    pub oidc_client_id: String,
    /// Secret of this system at the provider; none for a public client
    #[arg(long, env, hide_env_values = true)]
    pub oidc_client_secret: Option<SecretString>,
    /// Address to which the provider sends the browser back, such as `https://clinic.example/auth/oidc/callback`
    #[arg(long, env, default_value = "")]
    pub oidc_redirect_uri: String,
    /// Scopes that are requested, separated by spaces; some providers need another one for the claim with the roles
    #[arg(long, env, default_value = "openid email")]
    pub oidc_scopes: String,
    /// Claim with the roles or groups of a user: its name, or a path such as `realm_access.roles`
    #[arg(long, env, default_value = "roles")]
    pub oidc_roles_claim: String,
    /// Role for each value of that claim, such as `admins=ADMIN,clinicians=USER`; the first entry that fits is the user's role
    #[arg(long, env, default_value = "", value_parser = RoleMap::parse)]
    pub oidc_role_map: RoleMap,
    /// Accept addresses without the claim `email_verified`; only for a provider where nobody can choose an address
    #[arg(long, env, default_value_t = false, action = clap::ArgAction::Set)]
    pub oidc_allow_unverified_email: bool,
    /// Hours after which a session of single sign-on ends, however often it is refreshed: the longest time that a user who was removed at the provider stays
    #[arg(long, env, default_value_t = 12, value_parser = clap::value_parser!(i64).range(1..=720))]
    pub oidc_session_hours: i64,
}

/// Validated settings.
pub struct Settings {
    /// The `iss` of ID tokens.
    pub issuer: String,
    /// The `aud` of ID tokens.
    pub client_id: String,
    /// `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// Address of `GET /oidc/callback` as browsers see it.
    pub redirect_uri: Url,
    /// Requested scopes.
    pub scopes: String,
    /// Name or path of the claim with the roles.
    pub roles_claim: String,
    /// Role for each value of the claim.
    pub role_map: RoleMap,
    /// True if addresses need not be verified.
    pub allow_unverified_email: bool,
    /// Lifetime of a session.
    pub session_lifetime: Duration,
}

impl OidcArgs {
    /// Returns the settings; `None` without an issuer.
    ///
    /// # Errors
    /// Fails if a setting is missing or malformed.
    pub fn settings(&self) -> anyhow::Result<Option<Settings>> {
        if self.oidc_issuer.is_empty() {
            return Ok(None);
        }
        let issuer = parse_url(&self.oidc_issuer).context("OIDC_ISSUER")?;
        ensure!(
            issuer.query().is_none() && issuer.fragment().is_none(),
            "OIDC_ISSUER has a query or a fragment; remove it"
        );
        let redirect_uri = parse_url(&self.oidc_redirect_uri).context("OIDC_REDIRECT_URI")?;
        ensure!(
            redirect_uri.fragment().is_none(),
            "OIDC_REDIRECT_URI has a fragment; remove it"
        );
        ensure!(!self.oidc_client_id.is_empty(), "OIDC_CLIENT_ID is missing");
        ensure!(
            !self.oidc_role_map.0.is_empty(),
            "OIDC_ROLE_MAP is missing, so nobody could log in; set it, such as admins=ADMIN,clinicians=USER"
        );
        ensure!(
            self.oidc_scopes.split(' ').any(|scope| scope == "openid"),
            "OIDC_SCOPES must contain openid"
        );
        Ok(Some(Settings {
            issuer: self.oidc_issuer.clone(),
            client_id: self.oidc_client_id.clone(),
            client_secret: self.oidc_client_secret.clone(),
            redirect_uri,
            scopes: self.oidc_scopes.clone(),
            roles_claim: self.oidc_roles_claim.clone(),
            role_map: self.oidc_role_map.clone(),
            allow_unverified_email: self.oidc_allow_unverified_email,
            session_lifetime: Duration::hours(self.oidc_session_hours),
        }))
    }
}

/// Parses an address that tokens may be sent to: HTTPS, or HTTP on this machine.
pub(super) fn parse_url(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).context("it must be an address like https://login.clinic.example")?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    ensure!(
        url.scheme() == "https" || url.scheme() == "http" && is_local,
        "it must begin with https://, except on this machine"
    );
    Ok(url)
}

/// Roles for values of a claim, in the order of their precedence.
#[derive(Debug, Clone, Default)]
pub struct RoleMap(Vec<(String, Role)>);

impl RoleMap {
    /// Parses `value=ROLE,value=ROLE`. A value may contain `=` and commas, as the names of LDAP groups do.
    ///
    /// # Errors
    /// The message for the setting.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut entries, mut value) = (Vec::new(), String::new());
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let entry = part.rsplit_once('=');
            if let Some((name, Some(role))) = entry.map(|(name, role)| (name, Role::parse(role.trim()))) {
                value.push_str(name);
                entries.push((value.trim().to_owned(), role));
                value.clear();
            } else {
                value.push_str(part);
                value.push(',');
            }
        }
        if value.is_empty() && entries.iter().all(|(value, _)| !value.is_empty()) {
            Ok(Self(entries))
        } else {
            Err("each entry must be value=ROLE, with USER, ADMIN or AUDITOR as the role".to_owned())
        }
    }

    /// Returns the role of a user with these values of the claim.
    pub fn role(&self, values: &[&str]) -> Option<Role> {
        let entry = self.0.iter().find(|(value, _)| values.contains(&value.as_str()));
        entry.map(|(_, role)| *role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_that_fits_is_the_role() {
        let map = RoleMap::parse("admins=ADMIN, clinicians=USER,cn=audit,ou=groups=AUDITOR").unwrap();
        assert_eq!(map.role(&["clinicians", "admins"]), Some(Role::Admin));
        assert_eq!(map.role(&["clinicians"]), Some(Role::User));
        assert_eq!(map.role(&["cn=audit,ou=groups"]), Some(Role::Auditor));
        assert_eq!(map.role(&["Admins", "cn=audit", ""]), None);
        assert!(RoleMap::parse("").unwrap().0.is_empty());
        for invalid in ["admins", "admins=ROOT", "=ADMIN", "a=USER,b", "a=USER,"] {
            assert!(RoleMap::parse(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn an_address_is_https_or_local() {
        for accepted in [
            "https://login.example/realms/a",
            "http://localhost:3000",
            "http://127.0.0.1:1/x",
            "http://[::1]:1",
        ] {
            assert!(parse_url(accepted).is_ok(), "{accepted}");
        }
        for refused in [
            "",
            "login.example",
            "http://login.example",
            "ftp://localhost",
            "http://127.0.0.1.example",
        ] {
            assert!(parse_url(refused).is_err(), "{refused}");
        }
    }
}
