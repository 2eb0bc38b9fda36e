//! Claims of a user, and what this service reads from them.

use kit::Email;
use kit::token::Role;
use serde_json::{Map, Value};

use super::{OidcError, Settings};

/// A user of the provider.
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// The user's id at the provider, which never changes.
    pub subject: String,
    /// The user's claims.
    claims: Map<String, Value>,
}

impl Identity {
    /// Returns the user of verified claims.
    pub(super) fn new(settings: &Settings, claims: Map<String, Value>) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            subject: claims["sub"].as_str().unwrap_or_default().to_owned(),
            claims,
        }
    }

    /// Returns true if a claim is missing that a provider may keep for its `UserInfo` endpoint.
    pub(super) fn is_incomplete(&self, settings: &Settings) -> bool {
        !self.claims.contains_key("email") || find(&self.claims, &settings.roles_claim).is_none()
    }

    /// Adds claims of the `UserInfo` endpoint; those of the ID token stay.
    ///
    /// # Errors
    /// [`OidcError::Unusable`] if they are those of another user (OpenID Connect Core 1.0, 5.3.2).
    pub(super) fn complete(&mut self, claims: Map<String, Value>) -> Result<(), OidcError> {
        if claims.get("sub").and_then(Value::as_str) != Some(&self.subject) {
            return Err(OidcError::Unusable("UserInfo: it is about another user".to_owned()));
        }
        for (name, value) in claims {
            self.claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Returns the role that the claims give.
    ///
    /// # Errors
    /// [`OidcError::NoRole`] if they give none.
    pub fn role(&self, settings: &Settings) -> Result<Role, OidcError> {
        let values: Vec<&str> = match find(&self.claims, &settings.roles_claim) {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(value)) => vec![value],
            _ => Vec::new(),
        };
        settings.role_map.role(&values).ok_or(OidcError::NoRole)
    }

    /// Returns the address, in lower case.
    ///
    /// # Errors
    /// [`OidcError::NoVerifiedEmail`] if there is none, or it is not verified and must be.
    pub fn email(&self, settings: &Settings) -> Result<Email, OidcError> {
        // Some providers write the boolean as text.
        let is_verified = match self.claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        let email = self.claims.get("email").and_then(Value::as_str);
        email
            .filter(|_| is_verified || settings.allow_unverified_email)
            .and_then(|email| Email::parse(email).ok())
            .map(Email::into_lowercase)
            .ok_or(OidcError::NoVerifiedEmail)
    }
}

/// Returns the claim with this name, or at this path of names with dots between them.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_its_path() {
        let claims = json!({
            "roles": ["a"], "https://clinic.example/roles": "b", "realm_access": {"roles": ["c"]}
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(find(claims, "roles"), Some(&json!(["a"])));
        assert_eq!(find(claims, "https://clinic.example/roles"), Some(&json!("b")));
        assert_eq!(find(claims, "realm_access.roles"), Some(&json!(["c"])));
        for missing in ["", "realm_access.groups", "roles.a", "other.roles"] {
            assert_eq!(find(claims, missing), None, "{missing}");
        }
    }
}
