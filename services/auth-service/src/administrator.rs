//! An admin as the database has it now, not as a token had it some minutes ago.

use axum::extract::FromRequestParts;
use http::request::Parts;
use kit::problem::Problem;
use kit::token::{Admin, Claims};

use crate::app::App;
use crate::user;

/// An ADMIN who is neither disabled nor demoted since the token was made; 401 otherwise, 403 with another role.
///
/// The other services learn it when the token ends. Here it is a row away, and here it matters most: who was just put
/// out must not make another account.
pub struct Administrator(pub Claims);

impl FromRequestParts<App> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Admin(claims) = Admin::from_request_parts(parts, app).await?;
        if user::holds(&app.pool, &claims).await? {
            Ok(Administrator(claims))
        } else {
            Err(Problem::unauthorized())
        }
    }
}
