//! Changes that were not confirmed.

/// A change that was not made because it was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{unchanged}: {reason}")]
pub struct NotConfirmed {
    /// The state that is unchanged, such as `nothing was deleted`.
    pub unchanged: String,
    pub reason: Reason,
}

/// The reason why there is no confirmation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it was not confirmed")]
    Declined,
    #[error("it must be confirmed, and there is no terminal")]
    NoTerminal,
    #[error("the name {expected} must be typed, and there is no terminal")]
    NameNotTyped { expected: String },
    #[error("'{given}' is not {expected}")]
    OtherName { given: String, expected: String },
}

impl NotConfirmed {
    /// Returns how to confirm it.
    pub fn hint(&self) -> Option<String> {
        match &self.reason {
            Reason::Declined => None,
            Reason::NoTerminal => Some("pass --yes to confirm it".into()),
            Reason::NameNotTyped { expected } | Reason::OtherName { expected, .. } => {
                Some(format!("pass --confirm {expected}; --yes is not sufficient here"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_says_what_was_not_done_and_how_to_confirm_it() {
        let expected = || "shop-prod".to_owned();
        let reasons = [
            Reason::Declined,
            Reason::NoTerminal,
            Reason::NameNotTyped { expected: expected() },
            Reason::OtherName {
                given: "shop".into(),
                expected: expected(),
            },
        ];
        let messages = reasons.map(|reason| {
            let error = NotConfirmed {
                unchanged: "nothing was deleted".into(),
                reason,
            };
            format!("{error}; hint: {}", error.hint().unwrap_or_default())
        });
        insta::assert_snapshot!(messages.join("\n"), @"
        nothing was deleted: it was not confirmed; hint: 
        nothing was deleted: it must be confirmed, and there is no terminal; hint: pass --yes to confirm it
        nothing was deleted: the name shop-prod must be typed, and there is no terminal; hint: pass --confirm shop-prod; --yes is not sufficient here
        nothing was deleted: 'shop' is not shop-prod; hint: pass --confirm shop-prod; --yes is not sufficient here
        ");
    }
}
