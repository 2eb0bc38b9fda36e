//! The account of a user of the provider: created at the first login, and kept as the claims say.

use kit::database::Pool;
use time::OffsetDateTime;

use super::{Identity, OidcError, Settings};
use crate::refresh_token;
use crate::user::{self, User};

/// Creates or changes the account as the claims say. Another role ends the sessions, and so does none at all.
///
/// # Errors
/// [`OidcError::NoRole`], [`OidcError::NoVerifiedEmail`], [`OidcError::EmailTaken`], [`OidcError::Disabled`], or a failure of
/// the database.
pub async fn sync(
    pool: &Pool,
    identity: &Identity,
    settings: &Settings,
    now: OffsetDateTime,
) -> Result<User, OidcError> {
    let (issuer, subject) = (identity.issuer.as_str(), identity.subject.as_str());
    let mut transaction = pool.begin().await?;
    let found = user::lock_external(&mut *transaction, issuer, subject).await?;
    let role = match identity.role(settings) {
        Ok(role) => role,
        Err(error) => {
            if let Some(user) = found {
                refresh_token::revoke_all(&mut *transaction, user.id).await?;
                transaction.commit().await?;
                tracing::info!(user.id = %user.id, "the claims give a user no role; the sessions ended");
            }
            return Err(error);
        }
    };
    let email = identity.email(settings)?;
    let user = match found {
        Some(user) => user,
        None => match user::insert_external(&mut *transaction, issuer, subject, &email, role, now).await? {
            Some(user) => {
                tracing::info!(user.id = %user.id, "created a user of the identity provider");
                user
            }
            // A concurrent first login, or an account with the address.
            None => user::lock_external(&mut *transaction, issuer, subject)
                .await?
                .ok_or(OidcError::EmailTaken)?,
        },
    };
    if user.disabled {
        return Err(OidcError::Disabled);
    }
    let is_other_role = user.role != role;
    let user = if is_other_role || user.email != email.as_str() {
        let changed = user::update_external(&mut *transaction, user.id, &email, role).await?;
        changed.ok_or(OidcError::EmailTaken)?
    } else {
        user
    };
    if is_other_role {
        refresh_token::revoke_all(&mut *transaction, user.id).await?;
        tracing::info!(user.id = %user.id, "the claims give a user another role; the sessions ended");
    }
    transaction.commit().await?;
    Ok(user)
}
