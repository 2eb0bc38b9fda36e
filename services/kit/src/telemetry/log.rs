//! JSON logs on standard output, one object per line.

use std::{collections::BTreeMap, fmt, io};

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    EnvFilter,
    filter::FilterFn,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::trace;

/// Starts logging for the service `name`; `filter` is in the form of `RUST_LOG`.
pub(super) fn init(name: &'static str, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let own = name.replace('-', "_");
    let private = FilterFn::new(move |metadata| is_private(&own, metadata)).with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stdout)
        .event_format(Json { service: name });
    // Global filters: filters of a layer are not reset after sqlx's `tracing::enabled!`, and lose lines.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .with(private)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        // The payload is not logged: it may contain a patient's data.
        tracing::error!(panic.at = location, "a task panicked");
    }));
}

/// Returns whether a line can be logged without a leak: lines of libraries at `info` and more severe levels only.
///
/// At `debug` and `trace` libraries log statements, headers and frames, and so patients' data and tokens; our crates do not.
fn is_private(own: &str, metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || krate == own || ["kit", "contracts"].contains(&krate)
}

/// One event as one JSON object: timestamp, level, service, message, target, `trace_id`, `span_id` and fields.
struct Json {
    service: &'static str,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // Events of the `log` crate have their target and source location as fields; only the target is used.
        let target = fields
            .0
            .remove("log.target")
            .unwrap_or_else(|| event.metadata().target().into());
        fields.0.retain(|name, _| !name.starts_with("log."));
        let mut line = Map::new();
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        line.insert("timestamp".into(), now.into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("service".into(), self.service.into());
        line.insert("message".into(), fields.0.remove("message").unwrap_or(Value::Null));
        line.insert("target".into(), target);
        if let Some((trace, span)) = trace::current_ids() {
            line.insert("trace_id".into(), trace.to_string().into());
            line.insert("span_id".into(), span.to_string().into());
        }
        if !fields.0.is_empty() {
            line.insert(
                "fields".into(),
                fields
                    .0
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            );
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.into());
    }
}
