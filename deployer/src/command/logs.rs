//! `deployer logs`: what the services say.

use std::collections::HashSet;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ecs::tail::{self, Line};
use crate::error::{Error, Result};
use crate::stacks::Plan;
use crate::target::Session;
use crate::ui::Event;

/// Show the services' logs, merged by time.
#[derive(Debug, clap::Args)]
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
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let services = chosen(&plan, &args.services)?;
    let aws = session.connect().await?;
    let mut from = (OffsetDateTime::now_utc().unix_timestamp() - args.since) * 1000;
    let mut known = HashSet::new();
    let mut first = true;
    loop {
        let mut lines: Vec<(&str, Line)> = Vec::new();
        for service in &services {
            let group = format!("/ecs/{}-{}/{service}", plan.project, plan.environment);
            lines.extend(
                tail::since(&aws, &group, from, &mut known)
                    .await?
                    .into_iter()
                    .map(|line| (service.as_str(), line)),
            );
        }
        lines.sort_by_key(|(_, line)| line.time);
        let skip = if first {
            lines.len().saturating_sub(args.lines)
        } else {
            0
        };
        let newest = lines.last().map(|(_, line)| line.time);
        for (service, line) in lines.into_iter().skip(skip) {
            show(session, service, line);
        }
        if !args.follow {
            return Ok(());
        }
        // Streams may be a little late: the last half minute is read again, and what is known is not shown twice.
        from = from.max(newest.unwrap_or(from) - 30_000);
        first = false;
        tokio::select! {
            () = tokio::time::sleep(aws.pace.max(Duration::from_millis(500))) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn chosen(plan: &Plan, given: &[String]) -> Result<Vec<String>> {
    let known: Vec<String> = plan.images.iter().map(|image| image.service.clone()).collect();
    if let Some(unknown) = given.iter().find(|service| !known.contains(service)) {
        return Err(Error::Usage(format!(
            "there is no service '{unknown}'; there are {}",
            known.join(", ")
        )));
    }
    Ok(if given.is_empty() { known } else { given.to_vec() })
}

fn show(session: &Session, service: &str, line: Line) {
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
        let head = session.ui.style().dim(&format!("{time} {service} |"));
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
        .ok_or_else(|| "give a number with s, m, h or d, such as 10m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        assert_eq!(seconds("2h"), Ok(7200));
        assert!(seconds("soon").is_err() && seconds("99999999999999999d").is_err());
    }
}
