//! Events of instances and snapshots, recorded in the transactions of what happened (RDS User Guide, "Amazon RDS event categories").

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::validation::invalid;
use crate::records::{Record, Records, iso, now, page};
use crate::{AwsError, Call, Context};

const EVENTS: Records = Records("rds.events");
/// "Returns events […] for the past 14 days" (RDS API Reference, `DescribeEvents`).
const KEPT: i64 = 14 * 86_400_000;
/// The default of `Duration`, in minutes.
const DEFAULT_DURATION: i64 = 60;

/// Something that happened: the message and the category of AWS.
pub struct Event(&'static str, &'static str);

pub const CREATED: Event = Event("DB instance created", "creation");
pub const RESTORED: Event = Event("Restored from snapshot", "restoration");
pub const DELETED: Event = Event("DB instance deleted", "deletion");
pub const SHUT_DOWN: Event = Event("DB instance shutdown", "availability");
pub const RESTARTED: Event = Event("DB instance restarted", "availability");
pub const SNAPSHOT_CREATED: Event = Event("Manual snapshot created", "creation");

/// Records an event of a source with an ARN such as `…:db:ID` or `…:snapshot:ID`. Events that are too old are deleted.
///
/// # Errors
/// When the state cannot be read or written.
pub fn record(cx: &Context, arn: &str, event: &Event) -> Result<(), AwsError> {
    let at = now();
    for old in EVENTS.list(cx)?.iter().filter(|old| at - old.created > KEPT) {
        EVENTS.delete(cx, &old.id)?;
    }
    let properties = json!({"SourceArn": arn, "Message": event.0, "Category": event.1});
    // The ID sorts by time.
    let id = format!("{at:015} {:08x}", rand::random::<u32>());
    EVENTS.put(cx, &Record::from_properties(id, properties))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    if let Some(filters) = call.input.get("Filters") {
        return Err(invalid(format!("Unrecognized filters: {filters}")));
    }
    let (source, kind) = (call.text("SourceIdentifier"), call.text("SourceType"));
    if source.is_some() && kind.is_none() {
        let message = "Cannot request a specific source without specifying a source type.";
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    let time = |member: &str| {
        let given = call
            .text(member)
            .map(|text| (OffsetDateTime::parse(&text, &Rfc3339), text));
        given.map_or(Ok(None), |(parsed, text)| match parsed {
            Ok(instant) => Ok(Some(instant.unix_timestamp() * 1000 + i64::from(instant.millisecond()))),
            Err(_) => Err(invalid(format!("The value {text} of {member} is not a time."))),
        })
    };
    let end = time("EndTime")?.unwrap_or_else(now);
    let duration = call.integer("Duration").unwrap_or(DEFAULT_DURATION) * 60_000;
    let start = time("StartTime")?.unwrap_or(end - duration);
    let categories = call.texts("EventCategories");
    let mut shown = Vec::new();
    for event in EVENTS.list(cx)? {
        let text = |property: &str| event.text(property).unwrap_or_default();
        let arn = text("SourceArn");
        let mut parts = arn.rsplit(':');
        let (id, resource) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let of_kind = if resource == "snapshot" {
            "db-snapshot"
        } else {
            "db-instance"
        };
        let category = text("Category");
        let is_asked = (start..=end).contains(&event.created)
            && source.as_deref().is_none_or(|given| given.eq_ignore_ascii_case(id))
            && kind.as_deref().is_none_or(|given| given == of_kind)
            && (categories.is_empty() || categories.contains(&category));
        if is_asked {
            shown.push(json!({
                "SourceIdentifier": id, "SourceType": of_kind, "Message": text("Message"), "EventCategories": [category],
                "Date": iso(event.created), "SourceArn": arn,
            }));
        }
    }
    let limit = call.limit("MaxRecords", 100, 20..=100);
    let (shown, next) = page(shown, limit, call.text("Marker").as_deref())?;
    Ok(json!({"Events": shown, "Marker": next}))
}
