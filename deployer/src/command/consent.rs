//! Asking before something is done that cannot be undone.

use crate::error::{Error, Result};
use ui::Ui;

/// A yes-or-no question, which `--yes` answers; `kept` says what was not done.
pub async fn asked(ui: &Ui, question: &str, kept: &str) -> Result<()> {
    match ui.ask(question).await {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Declined(kept.to_owned())),
        None => Err(Error::Declined(format!(
            "{kept}: nobody is there to ask; run with --yes to do it"
        ))),
    }
}

/// A name that is to be typed, or given with `--confirm`; `--yes` is not enough. `why` ends the sentence "Type it to …".
pub async fn typed(ui: &Ui, name: &str, why: &str, confirm: Option<&str>, kept: &str) -> Result<()> {
    match confirm {
        Some(given) if given == name => return Ok(()),
        Some(given) => {
            return Err(Error::Declined(format!(
                "{kept}: --confirm says '{given}', and this is {name}"
            )));
        }
        None => {}
    }
    match ui.ask_to_type(name, why).await {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Declined(format!("{kept}: what was typed is not {name}"))),
        None => Err(Error::Declined(format!(
            "{kept}: --yes is not enough here, and nobody is there to type the name; a script says --confirm {name}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_typed_confirmation_takes_the_whole_name_and_nothing_else() {
        let (ui, _) = Ui::recording();
        let with = |given| typed(&ui, "shop-prod", "delete it", Some(given), "nothing was deleted");
        assert!(with("shop-prod").await.is_ok());
        for other in ["", "yes", "shop", "shop-dev", "SHOP-PROD"] {
            assert!(with(other).await.is_err(), "{other}");
        }
    }
}
