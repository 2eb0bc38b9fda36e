//! This machine's clock against the endpoint's.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::check::Check;
use crate::target::http;

const NAME: &str = "clock";
/// AWS refuses a request whose time is further off, in seconds ("Troubleshooting AWS Signature Version 4").
const REFUSED: i64 = 300;
/// What is worth a word, in seconds.
const NOTABLE: i64 = 60;

/// Compares with the `Date` of an answer; none when there is no answer or it has no date.
pub async fn check(url: &str) -> Option<Check> {
    let date = http::date(url, Duration::from_millis(1500)).await?;
    let theirs = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
    Some(judge((OffsetDateTime::now_utc() - theirs).whole_seconds()))
}

fn judge(ahead: i64) -> Check {
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let found = format!("{} s {direction} the endpoint's", ahead.abs());
    let fix = "set the clock: `timedatectl set-ntp true`; in a virtual machine that slept, restart its time service";
    match ahead.abs() {
        off if off >= REFUSED => Check::fail(NAME, format!("{found}: signed requests are refused"), fix),
        off if off >= NOTABLE => Check::warn(NAME, found, fix),
        _ => Check::ok(NAME, "agrees with the endpoint's"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Level;
    use super::*;

    #[test]
    fn five_minutes_off_is_refused_and_one_is_worth_a_word() {
        assert_eq!(judge(3).level, Level::Ok);
        assert_eq!(judge(-70).level, Level::Warn);
        assert!(judge(-400).level == Level::Fail && judge(-400).found.contains("400 s behind"));
    }
}
