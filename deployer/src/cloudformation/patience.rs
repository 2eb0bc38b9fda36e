//! Waits for an endpoint that does not answer for a while: what was begun goes on without anybody watching.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::target::{Aws, Clock};
use ui::Ui;

/// How long nothing may answer.
const LIMIT: Duration = Duration::from_secs(180);
/// What an endpoint answers that is too busy, or not itself, for the moment ("Common error types" of the API references).
const BUSY: [&str; 10] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalError",
];

/// Since when nothing answers.
#[derive(Debug)]
pub struct Patience {
    clock: Clock,
    since: Option<Duration>,
}

impl Patience {
    pub fn new(clock: Clock) -> Self {
        Self { clock, since: None }
    }

    /// The answer; none when there was no connection, or an endpoint too busy, and it is worth asking again. Other errors
    /// are given back, and so is this one when it lasts.
    pub fn bear<T>(&mut self, ui: &Ui, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(answer) => {
                if let Some(since) = self.since.take() {
                    let seconds = self.clock.since(since).as_secs();
                    ui.info(format!("the endpoint answers again, after {seconds} s"));
                }
                Ok(Some(answer))
            }
            Err(error) if error.passes() && self.since.is_none_or(|since| self.clock.since(since) < LIMIT) => {
                if self.since.is_none() {
                    let limit = LIMIT.as_secs();
                    ui.warn(format!("{error}; asking again for up to {limit} s"));
                    self.since = Some(self.clock.now());
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Asks until there is an answer, or nothing has answered for too long. What is asked must bear to be asked twice.
pub async fn persist<T, F>(aws: &Aws, ui: &Ui, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut patience = Patience::new(aws.clock);
    let wait = aws.wait(LIMIT);
    loop {
        if let Some(answer) = patience.bear(ui, ask().await)? {
            return Ok(answer);
        }
        wait.pause().await;
    }
}

impl Error {
    /// Whether nothing answered, the connection broke, or the endpoint was too busy: the operation itself may well go on.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Aws { code, .. } if code.is_empty() || BUSY.contains(&code.as_str()))
    }
}
