//! Measured durations of earlier deployments, stored in the user's state directory.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use aws::cloudformation::StackEvent;
use serde::{Deserialize, Serialize};

use super::Operation;

/// The number of measurements that are stored for each type and operation.
const MAX_MEASUREMENTS: usize = 9;

/// Measured seconds by endpoint, then by `TYPE operation`; the latest last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    places: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

/// The measurements of one AWS region, or of one endpoint URL.
#[derive(Debug, Default, Clone)]
pub struct History(BTreeMap<String, Vec<f64>>);

/// The measured duration of one operation on one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub kind: String,
    pub operation: Operation,
    pub seconds: f64,
}

/// `$XDG_STATE_HOME/deployer/durations.json` (XDG Base Directory Specification). `None` without a home directory.
fn file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(state.join("deployer/durations.json"))
}

impl History {
    /// Loads the measurements of an endpoint. An unreadable file has none, because they only improve estimates.
    pub fn load(endpoint: &str) -> Self {
        file().map(|file| Self::load_from(&file, endpoint)).unwrap_or_default()
    }

    /// Stores the durations of a deployment. A failure is logged, because nothing depends on them.
    pub fn record(endpoint: &str, measured: &[Measured]) {
        if let Some(file) = file().filter(|_| !measured.is_empty())
            && let Err(error) = Self::record_in(&file, endpoint, measured)
        {
            tracing::debug!(%error, "cannot store the durations");
        }
    }

    /// Returns the median of the latest measurements, in seconds.
    pub fn median(&self, kind: &str, operation: Operation) -> Option<f64> {
        let mut known = self.0.get(&key(kind, operation))?.clone();
        known.sort_by(f64::total_cmp);
        known.get(known.len() / 2).copied()
    }

    fn load_from(file: &Path, endpoint: &str) -> Self {
        Self(read(file).places.remove(endpoint).unwrap_or_default())
    }

    fn record_in(file: &Path, endpoint: &str, measured: &[Measured]) -> std::io::Result<()> {
        let mut all = read(file);
        let known = all.places.entry(endpoint.to_owned()).or_default();
        for Measured {
            kind,
            operation,
            seconds,
        } in measured
        {
            let list = known.entry(key(kind, *operation)).or_default();
            list.push((seconds * 10.0).round() / 10.0);
            let surplus = list.len().saturating_sub(MAX_MEASUREMENTS);
            list.drain(..surplus);
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Written to another file and renamed, so that a concurrent reader sees the old file or the new one.
        let new = folder.join(format!(".durations.{}", std::process::id()));
        std::fs::write(&new, serde_json::to_vec_pretty(&all)?)?;
        std::fs::rename(&new, file)
    }
}

fn read(file: &Path) -> File {
    std::fs::read(file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

fn key(kind: &str, operation: Operation) -> String {
    let operation = match operation {
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    };
    format!("{kind} {operation}")
}

/// Measures the resources of an operation from its events, oldest first. Failed and rolled back resources are left out.
pub fn measure(events: &[StackEvent]) -> Vec<Measured> {
    let mut started: HashMap<(&str, &str), f64> = HashMap::new();
    let mut measured = Vec::new();
    for event in events.iter().filter(|event| !event.is_stack) {
        let operations = [
            ("CREATE", Operation::Create),
            ("UPDATE", Operation::Update),
            ("DELETE", Operation::Delete),
        ];
        for (word, operation) in operations {
            if event.status == format!("{word}_IN_PROGRESS") {
                started.entry((&event.logical_id, word)).or_insert(event.time);
            } else if event.status == format!("{word}_COMPLETE")
                && let Some(start) = started.remove(&(event.logical_id.as_str(), word))
            {
                let (kind, seconds) = (event.resource_type.clone(), (event.time - start).max(0.0));
                measured.push(Measured {
                    kind,
                    operation,
                    seconds,
                });
            }
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, time: f64) -> StackEvent {
        StackEvent {
            id: String::new(),
            logical_id: resource.into(),
            physical_id: String::new(),
            resource_type: "AWS::ECS::Service".into(),
            status: status.into(),
            reason: None,
            is_stack: false,
            time,
        }
    }

    #[test]
    fn a_resource_is_measured_from_its_first_event_to_its_end() {
        let events = [
            event("A", "CREATE_IN_PROGRESS", 10.0),
            event("B", "CREATE_IN_PROGRESS", 11.0),
            event("A", "CREATE_IN_PROGRESS", 12.0),
            event("B", "CREATE_FAILED", 13.0),
            event("A", "CREATE_COMPLETE", 40.0),
        ];
        let measured = measure(&events);
        assert_eq!(measured.len(), 1);
        assert_eq!((measured[0].operation, measured[0].seconds), (Operation::Create, 30.0));
    }

    #[test]
    fn the_latest_measurements_of_an_endpoint_count_and_those_of_another_do_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/durations.json");
        for seconds in 0..20 {
            let measured = Measured {
                kind: "T".into(),
                operation: Operation::Create,
                seconds: f64::from(seconds),
            };
            History::record_in(&file, "here", &[measured]).expect("written");
        }
        assert_eq!(
            History::load_from(&file, "here").median("T", Operation::Create),
            Some(15.0)
        );
        assert_eq!(History::load_from(&file, "there").median("T", Operation::Create), None);
        std::fs::write(&file, "not json").expect("written");
        assert_eq!(History::load_from(&file, "here").median("T", Operation::Create), None);
    }
}
