//! `deployer logs`: the logs of the services.

mod palette;

use std::collections::HashMap;
use std::time::Duration;

use aws::logs::{LogLine, new_lines};
use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::deploy::interrupt::Interrupts;
use crate::context::Session;
use crate::error::{ArgumentError, Error, Named, Result};
use crate::operations;
use palette::Palette;
use platform::stacks::Plan;
use ui::{Event, stdout};

/// The maximum delay of a line behind newer ones, in milliseconds. Lines of this age are read again.
const MAX_DELAY: i64 = 30_000;
/// Ten years in seconds, the maximum retention of CloudWatch Logs.
const MAX_AGE: i64 = 3653 * 86_400;

/// Show the logs of the services, merged by time, each service in its colour.
///
/// --follow continues when tasks are replaced, and while the endpoint is unavailable for a short time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer logs                              the latest lines of all services
  deployer logs -f patient-service           until Ctrl-C
  deployer logs -f auth-service api-gateway --since 1h
  deployer logs --grep 'ERROR|panicked' --since 1d -n 1000
  deployer logs --json | jq -r 'select(.event == \"log\") | .message'

Exit codes: 0 shown, also if ended by Ctrl-C or the reader (| head); 1 no such service, or no endpoint;
3 credentials or permission.")]
pub struct Args {
    /// Only these services [default: all].
    services: Vec<String>,
    /// Wait for new lines, until Ctrl-C.
    #[arg(short = 'f', long)]
    follow: bool,
    /// Age of the oldest line, such as 90s, 10m, 2h, 1d.
    #[arg(long, default_value = "10m", value_parser = seconds)]
    since: i64,
    /// Maximum number of existing lines.
    #[arg(short = 'n', long, default_value_t = 200)]
    lines: usize,
    /// Only lines that match this regular expression; (?i) at its start ignores case.
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
}

/// The log group of one service, and the lines that were read from it.
struct Source {
    service: String,
    group: String,
    /// Ids and times of the lines that were read and may be read again.
    known: HashMap<String, i64>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let mut sources = sources(&plan, &args.services)?;
    let palette = Palette::new(plan.services(), session.ui.style());
    let mut aws = session.connect().await?;
    if args.follow {
        aws = operations::tolerating_outages(&aws, &session.ui);
    }
    // Registered before the first request, so that a signal between two requests counts as well.
    let mut interrupts = Interrupts::new()?;
    tokio::select! {
        result = show_all(&args, session, &aws, &mut sources, &palette) => result,
        () = interrupts.next() => Ok(()),
    }
}

async fn show_all(
    args: &Args,
    session: &Session,
    aws: &aws::Session,
    sources: &mut [Source],
    palette: &Palette,
) -> Result<()> {
    let mut from = (OffsetDateTime::now_utc().unix_timestamp() - args.since) * 1000;
    let mut first = true;
    loop {
        let lines = read(aws, sources, from).await?;
        let newest = lines.last().map(|(_, line)| line.time);
        let matches = |line: &LogLine| args.grep.as_ref().is_none_or(|pattern| pattern.is_match(&line.message));
        let lines: Vec<_> = lines.into_iter().filter(|(_, line)| matches(line)).collect();
        let skip = if first {
            lines.len().saturating_sub(args.lines)
        } else {
            0
        };
        for (service, line) in lines.into_iter().skip(skip) {
            show(session, palette, &service, line);
        }
        from = from.max(newest.map_or(from, |newest| newest - MAX_DELAY));
        for source in sources.iter_mut() {
            source.known.retain(|_, time| *time >= from);
        }
        first = false;
        if !args.follow || stdout::is_closed() {
            return Ok(());
        }
        tokio::time::sleep(aws.poll_interval().max(Duration::from_millis(500))).await;
    }
}

/// Reads the new lines of all services from this time on, oldest first.
async fn read(aws: &aws::Session, sources: &mut [Source], from: i64) -> Result<Vec<(String, LogLine)>> {
    let found = sources.iter_mut().map(|source| async move {
        let lines = new_lines(aws, &source.group, from, &mut source.known).await?;
        Ok::<_, Error>(lines.into_iter().map(|line| (source.service.clone(), line)))
    });
    let found = futures::future::try_join_all(found).await?;
    let mut lines: Vec<_> = found.into_iter().flatten().collect();
    lines.sort_by_key(|(_, line)| line.time);
    Ok(lines)
}

fn sources(plan: &Plan, names: &[String]) -> Result<Vec<Source>, ArgumentError> {
    let known: Vec<&str> = plan.services().collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(ArgumentError::unknown(Named::Service, unknown, known));
    }
    let selected = |service: &&&str| names.is_empty() || names.iter().any(|name| name == **service);
    let sources = known.iter().filter(selected).map(|service| Source {
        service: (*service).to_owned(),
        group: format!("/ecs/{}-{}/{service}", plan.project, plan.environment),
        known: HashMap::new(),
    });
    Ok(sources.collect())
}

fn show(session: &Session, palette: &Palette, service: &str, line: LogLine) {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.time) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default();
    if session.ui.is_json() {
        let LogLine { stream, message, .. } = line;
        session.ui.emit(Event::Log {
            service: service.to_owned(),
            time,
            stream,
            message,
        });
    } else {
        let prefix = palette.prefix(service, &time);
        session
            .ui
            .data("log", serde_json::Value::Null, &format!("{prefix} {}\n", line.message));
    }
}

/// A text that is not the age of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum InvalidAge {
    #[error("expected a number with s, m, h or d, such as 10m")]
    Unit,
    #[error("expected a number with s, m, h or d, such as 10m, of at most ten years")]
    Number,
}

/// Parses a number with a unit (s, m, h or d) to seconds.
fn seconds(text: &str) -> Result<i64, InvalidAge> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(InvalidAge::Unit),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|seconds| *seconds <= MAX_AGE)
        .ok_or(InvalidAge::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_with_a_unit() {
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds("soon"), Err(InvalidAge::Unit));
        assert_eq!(seconds("99999999999999999d"), Err(InvalidAge::Number));
        assert_eq!(seconds("20000d"), Err(InvalidAge::Number));
    }
}
