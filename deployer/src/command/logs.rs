//! `deployer logs`: what the services say.

mod palette;

use std::collections::HashMap;
use std::time::Duration;

use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{SignalKind, signal};

use crate::cloudformation::patience::Patience;
use crate::ecs::tail::{self, Line};
use crate::error::{Error, Result};
use crate::stacks::Plan;
use crate::suggest::closest_or_all;
use crate::target::{Aws, Session};
use palette::Palette;
use ui::{Event, stdout};

/// How late a line may come after younger ones, in milliseconds: so far back is read again.
const LATE: i64 = 30_000;
/// Ten years, in seconds: CloudWatch Logs keeps nothing longer than its longest retention.
const LONGEST: i64 = 3653 * 86_400;

/// Show the services' logs, merged by time, each service in its colour.
///
/// --follow goes on over task replacements and redeployments, and when the endpoint is gone for a while.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer logs                              the last lines of all services
  deployer logs -f patient-service           until Ctrl-C
  deployer logs -f auth-service api-gateway --since 1h
  deployer logs --grep 'ERROR|panicked' --since 1d -n 1000
  deployer logs --json | jq -r 'select(.event == \"log\") | .message'

Exit codes: 0 shown, also when Ctrl-C or the reader (| head) ended it; 1 no such service, or nothing answers;
3 credentials or permission.")]
pub struct Args {
    /// Services; all unless given.
    services: Vec<String>,
    /// Go on as new lines come, until Ctrl-C.
    #[arg(short = 'f', long)]
    follow: bool,
    /// How far back to begin, such as 90s, 10m, 2h, 1d.
    #[arg(long, default_value = "10m", value_parser = seconds)]
    since: i64,
    /// At most so many of the lines that are there already.
    #[arg(short = 'n', long, default_value_t = 200)]
    lines: usize,
    /// Only lines that this regular expression matches; (?i) in front ignores case.
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
}

/// What is read of one service.
struct Source {
    service: String,
    group: String,
    /// Ids and times of the lines that were read, as far back as they are read again.
    known: HashMap<String, i64>,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let mut sources = chosen(&plan, &args.services)?;
    let palette = Palette::new(plan.services(), session.ui.style());
    let aws = session.connect().await?;
    // Listened to from here on: a signal between two looks counts as well.
    let listen = |kind| signal(kind).map_err(Error::io("cannot listen for signals"));
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        result = show_all(&args, session, &aws, &mut sources, &palette) => result,
        _ = int.recv() => Ok(()),
        _ = term.recv() => Ok(()),
    }
}

async fn show_all(args: &Args, session: &Session, aws: &Aws, sources: &mut [Source], palette: &Palette) -> Result<()> {
    let mut from = (OffsetDateTime::now_utc().unix_timestamp() - args.since) * 1000;
    let mut first = true;
    let mut patience = Patience::new(aws.clock);
    loop {
        let answer = read(aws, sources, from).await;
        let lines = if args.follow {
            patience.bear(&session.ui, answer)?
        } else {
            Some(answer?)
        };
        if let Some(lines) = lines {
            let newest = lines.last().map(|(_, line)| line.time);
            let wanted = |line: &Line| args.grep.as_ref().is_none_or(|pattern| pattern.is_match(&line.message));
            let lines: Vec<_> = lines.into_iter().filter(|(_, line)| wanted(line)).collect();
            let skip = if first {
                lines.len().saturating_sub(args.lines)
            } else {
                0
            };
            for (service, line) in lines.into_iter().skip(skip) {
                show(session, palette, &service, line);
            }
            from = from.max(newest.map_or(from, |newest| newest - LATE));
            for source in sources.iter_mut() {
                source.known.retain(|_, time| *time >= from);
            }
            first = false;
        }
        if !args.follow || stdout::is_closed() {
            return Ok(());
        }
        tokio::time::sleep(aws.pace.max(Duration::from_millis(500))).await;
    }
}

/// The fresh lines of all services from this time on, oldest first.
async fn read(aws: &Aws, sources: &mut [Source], from: i64) -> Result<Vec<(String, Line)>> {
    let found = sources.iter_mut().map(|source| async move {
        let lines = tail::since(aws, &source.group, from, &mut source.known).await?;
        Ok::<_, Error>(lines.into_iter().map(|line| (source.service.clone(), line)))
    });
    let found = futures::future::try_join_all(found).await?;
    let mut lines: Vec<_> = found.into_iter().flatten().collect();
    lines.sort_by_key(|(_, line)| line.time);
    Ok(lines)
}

fn chosen(plan: &Plan, given: &[String]) -> Result<Vec<Source>> {
    let known: Vec<&str> = plan.services().collect();
    if let Some(unknown) = given.iter().find(|service| !known.contains(&service.as_str())) {
        return Err(Error::Usage(format!(
            "there is no service '{unknown}'; {}",
            closest_or_all("services", unknown, known)
        )));
    }
    let wanted = |service: &&&str| given.is_empty() || given.iter().any(|name| name == **service);
    let sources = known.iter().filter(wanted).map(|service| Source {
        service: (*service).to_owned(),
        group: format!("/ecs/{}-{}/{service}", plan.project, plan.environment),
        known: HashMap::new(),
    });
    Ok(sources.collect())
}

fn show(session: &Session, palette: &Palette, service: &str, line: Line) {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(line.time) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default();
    if session.ui.is_json() {
        let Line { stream, message, .. } = line;
        session.ui.emit(Event::Log {
            service: service.to_owned(),
            time,
            stream,
            message,
        });
    } else {
        let head = palette.head(service, &time);
        session
            .ui
            .data("log", serde_json::Value::Null, &format!("{head} {}\n", line.message));
    }
}

/// Seconds from a number with a unit: s, m, h or d.
fn seconds(text: &str) -> std::result::Result<i64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("give a number with s, m, h or d, such as 10m".into()),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .filter(|seconds| *seconds <= LONGEST)
        .ok_or_else(|| "give a number with s, m, h or d, such as 10m, of ten years at most".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        assert_eq!(seconds("2h"), Ok(7200));
        assert!(seconds("soon").is_err() && seconds("99999999999999999d").is_err() && seconds("20000d").is_err());
    }
}
