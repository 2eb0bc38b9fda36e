//! Extractors of a user as the database has it now, for the routes of this service.

use axum::extract::FromRequestParts;
use http::request::Parts;
use kit::problem::Problem;
use kit::token::{Authenticated, Claims, Role};

use crate::state::AppState;
use crate::user;

/// A user of any role who was not disabled, and whose role and session are still those in the token; otherwise 401.
///
/// The other services learn of a change within 2 seconds. Here the check is one query, and it matters most: a user who was
/// just disabled must not create another account.
pub struct CurrentUser(pub Claims);

/// A [`CurrentUser`] with the role ADMIN; 403 for another role.
pub struct Administrator(pub Claims);

impl FromRequestParts<AppState> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Authenticated(claims) = Authenticated::from_request_parts(parts, state).await?;
        if user::is_current(&state.pool, &claims).await? {
            Ok(Self(claims))
        } else {
            Err(Problem::unauthorized())
        }
    }
}

impl FromRequestParts<AppState> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let CurrentUser(claims) = CurrentUser::from_request_parts(parts, state).await?;
        if claims.role == Role::Admin {
            Ok(Self(claims))
        } else {
            Err(Problem::forbidden())
        }
    }
}
