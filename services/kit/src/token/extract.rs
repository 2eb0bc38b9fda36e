//! Extractors for the authenticated user, one for each set of roles.

use axum::extract::{FromRef, FromRequestParts};
use http::{HeaderMap, header, request::Parts};

use super::{Claims, Role, TokenError, Verifier};
use crate::problem::Problem;

/// A user with a valid token, of any role; 401 otherwise. For what everyone may do with the own account.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Claims);

impl<S> FromRequestParts<S> for Authenticated
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let verifier = Verifier::from_ref(state);
        match verifier.verify(token).await {
            Ok(claims) => Ok(Self(claims)),
            Err(TokenError::Invalid) => Err(Problem::unauthorized()),
            Err(TokenError::Unavailable) => Err(Problem::unavailable(
                "Tokens cannot be verified yet; try again in a moment",
            )),
        }
    }
}

/// Defines an extractor of a user with one of these roles: 401 without a valid token, 403 with another role.
macro_rules! user_with_role {
    ($(#[doc = $doc:literal])+ $name:ident: $($role:pat_param)|+) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        pub struct $name(pub Claims);

        impl<S> FromRequestParts<S> for $name
        where
            Verifier: FromRef<S>,
            S: Send + Sync,
        {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let Authenticated(claims) = Authenticated::from_request_parts(parts, state).await?;
                if matches!(claims.role, $($role)|+) {
                    Ok(Self(claims))
                } else {
                    Err(Problem::forbidden())
                }
            }
        }
    };
}

user_with_role! {
    /// A user who works with patients: USER or ADMIN; 401 without a valid token, 403 with another role.
    Caller: Role::User | Role::Admin
}

user_with_role! {
    /// A user with the role ADMIN; 401 without a valid token, 403 with another role.
    Admin: Role::Admin
}

user_with_role! {
    /// A user with the role AUDITOR; 401 without a valid token, 403 with another role.
    Auditor: Role::Auditor
}

user_with_role! {
    /// A user with the role AUDITOR or ADMIN; 401 without a valid token, 403 with another role.
    AuditorOrAdmin: Role::Auditor | Role::Admin
}

/// Returns the token of the only `Authorization: Bearer` header (RFC 6750, 2.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};

    use super::*;
    use crate::testing::TestTokens;

    #[derive(Clone)]
    struct State(Verifier);

    impl FromRef<State> for Verifier {
        fn from_ref(state: &State) -> Self {
            state.0.clone()
        }
    }

    async fn status<T: FromRequestParts<State, Rejection = Problem>>(token: &str, state: &State) -> StatusCode {
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        match T::from_request_parts(&mut parts, state).await {
            Ok(_) => StatusCode::OK,
            Err(problem) => problem.status(),
        }
    }

    #[tokio::test]
    async fn each_extractor_accepts_its_roles_only() {
        let tokens = TestTokens::new();
        let state = State(tokens.verifier());
        let mut matrix = Vec::new();
        for role in [Role::User, Role::Admin, Role::Auditor] {
            let token = tokens.token(role);
            matrix.push([
                status::<Authenticated>(&token, &state).await,
                status::<Caller>(&token, &state).await,
                status::<Admin>(&token, &state).await,
                status::<Auditor>(&token, &state).await,
                status::<AuditorOrAdmin>(&token, &state).await,
            ]);
        }
        let (yes, no) = (StatusCode::OK, StatusCode::FORBIDDEN);
        assert_eq!(
            matrix,
            [
                [yes, yes, no, no, no],
                [yes, yes, yes, no, yes],
                [yes, no, no, yes, yes]
            ]
        );
        assert_eq!(status::<Authenticated>("x", &state).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status::<Auditor>("x", &state).await, StatusCode::UNAUTHORIZED);
    }
}
