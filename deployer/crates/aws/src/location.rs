//! The account and region to which an environment is bound.

use crate::account;
use crate::error::Error;
use crate::session::Session;

/// A session in another account or region than that of the environment.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The identity of the session could not be read.
    #[error(transparent)]
    Request(#[from] Error),
    /// The credentials belong to another account.
    #[error("the environment belongs to account {expected}, and the credentials are of account {found}")]
    Account {
        /// The account in the manifest.
        expected: String,
        /// The account of the credentials.
        found: String,
    },
    /// The session is in another region.
    #[error("the environment belongs to region {expected}, and the selected region is {found}")]
    Region {
        /// The region in the manifest.
        expected: String,
        /// The region of the session.
        found: String,
    },
}

/// Requires that a session is in this account and region; `None` permits any.
///
/// # Errors
/// The session is elsewhere, or its identity cannot be read.
pub async fn require_location(aws: &Session, account: Option<&str>, region: Option<&str>) -> Result<(), LocationError> {
    if let Some(expected) = region.filter(|region| *region != aws.region()) {
        return Err(LocationError::Region {
            expected: expected.to_owned(),
            found: aws.region().to_owned(),
        });
    }
    let Some(expected) = account else { return Ok(()) };
    let found = account::id(aws).await?;
    if found == expected {
        Ok(())
    } else {
        Err(LocationError::Account {
            expected: expected.to_owned(),
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeAws, query_response};

    #[tokio::test]
    async fn a_session_elsewhere_is_rejected_with_both_places() {
        let endpoint = FakeAws::start(|call| query_response(&call.operation, "<Account>111122223333</Account>")).await;
        let aws = endpoint.session().await;
        let here = aws.region().to_owned();
        let own = Some("111122223333");
        require_location(&aws, None, None).await.expect("any place");
        require_location(&aws, own, Some(&here)).await.expect("its own place");
        let region = require_location(&aws, own, Some("eu-north-1"))
            .await
            .expect_err("another region");
        assert!(
            matches!(&region, LocationError::Region { expected, found } if expected == "eu-north-1" && *found == here),
            "{region:?}"
        );
        let account = require_location(&aws, Some("444455556666"), None)
            .await
            .expect_err("another account");
        assert!(
            matches!(&account, LocationError::Account { expected, found } if expected == "444455556666" && found == "111122223333"),
            "{account:?}"
        );
        insta::assert_snapshot!(format!("{account}\n{region}"), @"
        the environment belongs to account 444455556666, and the credentials are of account 111122223333
        the environment belongs to region eu-north-1, and the selected region is us-east-1
        ");
    }
}
