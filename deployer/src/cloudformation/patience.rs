//! Waits for an endpoint that does not answer for a while: what was begun goes on without anybody watching.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::ui::Ui;

/// How long nothing may answer.
const LIMIT: Duration = Duration::from_secs(120);

/// Since when nothing answers.
#[derive(Debug, Default)]
pub struct Patience(Option<Instant>);

impl Patience {
    /// The answer; none when there was no connection and it is worth asking again. Other errors are given back, and so is
    /// this one when it lasts.
    pub fn bear<T>(&mut self, ui: &Ui, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(answer) => {
                if let Some(since) = self.0.take() {
                    let seconds = since.elapsed().as_secs();
                    ui.say(format!("the endpoint answers again, after {seconds} s"));
                }
                Ok(Some(answer))
            }
            Err(error) if error.is_unreachable() && self.0.is_none_or(|since| since.elapsed() < LIMIT) => {
                if self.0.is_none() {
                    let limit = LIMIT.as_secs();
                    ui.warn(format!("{error}; asking again for up to {limit} s"));
                    self.0 = Some(Instant::now());
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Error {
    /// Whether nothing answered, or the connection broke: the operation itself may well go on.
    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Aws { code, .. } if code.is_empty())
    }
}
