//! Request bodies with an email address and a password.

use kit::Email;
use kit::problem::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::password::{MAX_BYTES, MIN_CHARACTERS, Password};
use crate::totp;

/// An email address, a password, and a code where the account has an authenticator; other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "testuser@test.com", "password": "password123"}))]
pub struct Credentials {
    /// Surrounding spaces are removed; upper and lower case are equal.
    #[schema(required = true, nullable = false, format = "email", max_length = 254)]
    pub email: Option<String>,
    /// 1 to 1024 bytes.
    #[schema(required = true, nullable = false, format = Password, min_length = 1, max_length = 1024)]
    pub password: Option<String>,
    /// The present code of the authenticator, or a recovery code; spaces and hyphens are removed.
    #[schema(max_length = 40, pattern = "^[0-9A-Za-z -]*$")]
    pub totp: Option<String>,
}

impl Credentials {
    /// Returns the code, if there is one.
    ///
    /// # Errors
    /// 400 if no code has this form.
    pub fn code(&self) -> kit::Result<Option<String>> {
        let given = self
            .totp
            .as_deref()
            .filter(|text| text.contains(|character| !" -".contains(character)));
        given.map(parse_code).transpose()
    }

    /// Validates the credentials of a login: any password that is not empty.
    ///
    /// # Errors
    /// 400 with a message for each invalid field.
    pub fn validate(self) -> kit::Result<(Email, Password)> {
        self.validate_with_minimum(1)
    }

    fn validate_with_minimum(self, min_characters: usize) -> kit::Result<(Email, Password)> {
        let email = Email::parse(&self.email.unwrap_or_default());
        match (email, parse_password(self.password, min_characters)) {
            (Ok(email), Ok(password)) => Ok((email.into_lowercase(), password)),
            (email, password) => {
                let email = email.err().map(|error| ("email".to_owned(), error.to_string()));
                let password = password.err().map(|message| ("password".to_owned(), message));
                Err(Problem::validation(email.into_iter().chain(password).collect()))
            }
        }
    }
}

/// Normalizes a password and checks its length; the error is the message for its field.
fn parse_password(text: Option<String>, min_characters: usize) -> Result<Password, String> {
    let text = text.unwrap_or_default();
    let too_long = || format!("Password cannot exceed {MAX_BYTES} bytes");
    if text.is_empty() {
        return Err("Password is required".to_owned());
    }
    if text.len() > MAX_BYTES {
        return Err(too_long());
    }
    let password = Password::new(text);
    if password.characters() < min_characters {
        return Err(format!("Password must be at least {min_characters} characters long"));
    }
    if password.bytes() > MAX_BYTES {
        return Err(too_long());
    }
    Ok(password)
}

/// Parses the field `totp`.
///
/// # Errors
/// 400 if no code has this form.
pub fn parse_code(text: &str) -> kit::Result<String> {
    totp::parse_code(text).ok_or_else(|| Problem::field("totp", "Code should be 6 digits, or a recovery code"))
}

/// Validates a field with the present password.
///
/// # Errors
/// The message for the field.
pub fn present_password(text: Option<String>) -> Result<Password, String> {
    parse_password(text, 1)
}

/// Validates a field with a new password: at least [`MIN_CHARACTERS`].
///
/// # Errors
/// The message for the field.
pub fn new_password(text: Option<String>) -> Result<Password, String> {
    parse_password(text, MIN_CHARACTERS)
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
    pub fn validate(self) -> kit::Result<(Email, Password)> {
        let Self { email, password } = self;
        Credentials {
            email,
            password,
            totp: None,
        }
        .validate_with_minimum(MIN_CHARACTERS)
    }
}
