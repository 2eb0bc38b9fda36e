//! What a person types to log in or sign up.

use std::collections::BTreeMap;

use kit::problem::{Problem, Result};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::email::Email;
use crate::password::{MAX_BYTES, MIN_CHARACTERS};

/// An email address and a password; other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "testuser@test.com", "password": "password123"}))]
pub struct Credentials {
    /// Spaces around it are dropped, and capitals do not matter.
    #[schema(required = true, nullable = false, format = "email", max_length = 254)]
    pub email: Option<String>,
    /// 1 to 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 1, max_length = 1024)]
    pub password: Option<String>,
}

impl Credentials {
    /// For a login: any password that is not empty.
    pub fn to_log_in(self) -> Result<(Email, SecretString)> {
        self.check(1)
    }

    fn check(self, shortest: usize) -> Result<(Email, SecretString)> {
        let email = Email::parse(&self.email.unwrap_or_default());
        let password = self.password.unwrap_or_default();
        let fault = if password.is_empty() {
            Some("Password is required".to_owned())
        } else if password.chars().count() < shortest {
            Some(format!("Password must be at least {shortest} characters long"))
        } else if password.len() > MAX_BYTES {
            Some(format!("Password cannot exceed {MAX_BYTES} bytes"))
        } else {
            None
        };
        match (email, fault) {
            (Ok(email), None) => Ok((email, password.into())),
            (email, fault) => {
                let email = email.err().map(|message| ("email".to_owned(), message.to_owned()));
                let password = fault.map(|message| ("password".to_owned(), message));
                Err(Problem::validation(BTreeMap::from_iter(
                    email.into_iter().chain(password),
                )))
            }
        }
    }
}

/// The email address and the password of an account to be; other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.org", "password": "correct horse"}))]
pub struct NewCredentials {
    /// Spaces around it are dropped, and capitals do not matter.
    #[schema(required = true, nullable = false, format = "email", max_length = 254)]
    pub email: Option<String>,
    /// 8 characters at least, 1024 bytes at most.
    #[schema(required = true, nullable = false, format = Password, min_length = 8, max_length = 1024)]
    pub password: Option<String>,
}

impl NewCredentials {
    /// For a new account: a password of a decent length.
    pub fn to_sign_up(self) -> Result<(Email, SecretString)> {
        let Self { email, password } = self;
        Credentials { email, password }.check(MIN_CHARACTERS)
    }
}
