//! Extractor of an administrator, as the database has the user now.

use axum::extract::FromRequestParts;
use http::request::Parts;
use kit::problem::Problem;
use kit::token::{Admin, Claims};

use crate::state::AppState;
use crate::user;

/// An ADMIN who was neither disabled nor demoted since the token was issued; otherwise 401, and 403 for another role.
///
/// The other services notice the change when the token expires. Here the check is one query, and it matters most: a user
/// who was just disabled must not create another account.
pub struct Administrator(pub Claims);

impl FromRequestParts<AppState> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Admin(claims) = Admin::from_request_parts(parts, state).await?;
        if user::is_current(&state.pool, &claims).await? {
            Ok(Self(claims))
        } else {
            Err(Problem::unauthorized())
        }
    }
}
