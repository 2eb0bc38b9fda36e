//! Confirmation of changes that cannot be undone.

use ui::Ui;

use crate::error::{NotConfirmed, Reason};

/// A confirmation that a change needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation<'a> {
    /// A yes, which `--yes` gives as well.
    Yes { question: &'a str },
    /// A typed name, which only `--confirm NAME` replaces. `action` ends the sentence "Type NAME to …".
    TypedName {
        name: &'a str,
        action: &'a str,
        confirm: Option<&'a str>,
    },
}

impl Confirmation<'_> {
    /// Asks for the confirmation on the terminal, where no option gives it.
    ///
    /// # Errors
    /// The change is not confirmed; `unchanged` is what was not done.
    pub async fn ask(self, ui: &Ui, unchanged: &str) -> Result<(), NotConfirmed> {
        let reason = match self {
            Self::Yes { question } => match ui.ask(question).await {
                Some(true) => return Ok(()),
                Some(false) => Reason::Declined,
                None => Reason::NoTerminal,
            },
            Self::TypedName {
                name,
                confirm: Some(given),
                ..
            } if given == name => return Ok(()),
            Self::TypedName {
                name,
                confirm: Some(given),
                ..
            } => Reason::OtherName {
                given: given.to_owned(),
                expected: name.to_owned(),
            },
            Self::TypedName { name, action, .. } => match ui.ask_to_type(name, action).await {
                Some(true) => return Ok(()),
                Some(false) => Reason::Declined,
                None => Reason::NameNotTyped {
                    expected: name.to_owned(),
                },
            },
        };
        Err(NotConfirmed {
            unchanged: unchanged.to_owned(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_typed_confirmation_accepts_the_complete_name_only() {
        let (ui, _) = Ui::recording();
        let confirm = async |given| {
            let confirmation = Confirmation::TypedName {
                name: "shop-prod",
                action: "delete it",
                confirm: Some(given),
            };
            confirmation.ask(&ui, "nothing was deleted").await
        };
        assert_eq!(confirm("shop-prod").await, Ok(()));
        for other in ["", "yes", "shop", "shop-dev", "SHOP-PROD"] {
            let reason = confirm(other).await.expect_err(other).reason;
            assert!(matches!(reason, Reason::OtherName { .. }), "{other}");
        }
    }
}
