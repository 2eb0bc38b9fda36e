//! The difference between this machine's clock and the endpoint's.

use std::time::Duration;

use aws::http;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::check::Check;

const NAME: &str = "clock";
/// The difference at which AWS rejects a request, in seconds ("Troubleshooting AWS Signature Version 4").
const REJECTED: i64 = 300;
/// The difference that is a warning, in seconds.
const NOTABLE: i64 = 60;

/// Compares the clock with the `Date` of a response; returns `None` without a response or a date.
pub async fn check(url: &str) -> Option<Check> {
    let date = http::date(url, Duration::from_millis(1500)).await?;
    let theirs = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
    Some(assess((OffsetDateTime::now_utc() - theirs).whole_seconds()))
}

fn assess(ahead: i64) -> Check {
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let found = format!("{} s {direction} the endpoint's", ahead.abs());
    let fix =
        "set the clock: `timedatectl set-ntp true`; after a virtual machine was suspended, restart its time service";
    match ahead.abs() {
        off if off >= REJECTED => Check::fail(NAME, format!("{found}: signed requests are rejected"), fix),
        off if off >= NOTABLE => Check::warn(NAME, found, fix),
        _ => Check::ok(NAME, "same as the endpoint's"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Level;
    use super::*;

    #[test]
    fn a_difference_of_five_minutes_fails_and_of_one_is_a_warning() {
        assert_eq!(assess(3).level, Level::Ok);
        assert_eq!(assess(-70).level, Level::Warn);
        assert_eq!(assess(-400).level, Level::Fail);
        insta::assert_snapshot!(assess(-400).found, @"400 s behind the endpoint's: signed requests are rejected");
    }
}
