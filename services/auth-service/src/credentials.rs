//! Request bodies with an email address and a password.

use kit::Email;
use kit::problem::{Problem, Result};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::password::{MAX_BYTES, MIN_CHARACTERS};

/// An email address and a password; other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "testuser@test.com", "password": "password123"}))]
pub struct Credentials {
    /// Surrounding spaces are removed; upper and lower case are equal.
    #[schema(required = true, nullable = false, format = "email", max_length = 254)]
    pub email: Option<String>,
    /// 1 to 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 1, max_length = 1024)]
    pub password: Option<String>,
}

impl Credentials {
    /// Validates the credentials of a login: any password that is not empty.
    ///
    /// # Errors
    /// 400 with a message for each invalid field.
    pub fn validate(self) -> Result<(Email, SecretString)> {
        self.validate_with_minimum(1)
    }

    fn validate_with_minimum(self, min_characters: usize) -> Result<(Email, SecretString)> {
        let email = Email::parse(&self.email.unwrap_or_default());
        let password = self.password.unwrap_or_default();
        let error = if password.is_empty() {
            Some("Password is required".to_owned())
        } else if password.chars().count() < min_characters {
            Some(format!("Password must be at least {min_characters} characters long"))
        } else if password.len() > MAX_BYTES {
            Some(format!("Password cannot exceed {MAX_BYTES} bytes"))
        } else {
            None
        };
        match (email, error) {
            (Ok(email), None) => Ok((email.into_lowercase(), password.into())),
            (email, error) => {
                let email = email.err().map(|error| ("email".to_owned(), error.to_string()));
                let password = error.map(|message| ("password".to_owned(), message));
                Err(Problem::validation(email.into_iter().chain(password).collect()))
            }
        }
    }
}

/// The email address and the password of a new account; other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.org", "password": "correct horse"}))]
pub struct NewCredentials {
    /// Surrounding spaces are removed; upper and lower case are equal.
    #[schema(required = true, nullable = false, format = "email", max_length = 254)]
    pub email: Option<String>,
    /// At least 8 characters, at most 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 8, max_length = 1024)]
    pub password: Option<String>,
}

impl NewCredentials {
    /// Validates the credentials of a new account: a password of at least [`MIN_CHARACTERS`].
    ///
    /// # Errors
    /// 400 with a message for each invalid field.
    pub fn validate(self) -> Result<(Email, SecretString)> {
        let Self { email, password } = self;
        Credentials { email, password }.validate_with_minimum(MIN_CHARACTERS)
    }
}
