//! `AWS::CloudFormation::WaitConditionHandle`, a URL for signals, and `AWS::CloudFormation::WaitCondition`, which waits for them.

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::records::scalar;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

/// The path of a handle's URL, without the handle's random id.
const PATH: &str = "/_cloudformation/signals/";
/// The route of the signals.
pub const ROUTE: &str = "/_cloudformation/signals/{handle}";
const HANDLES: &str = "cloudformation.wait-condition-handles";
/// Maximum of `Timeout`, in seconds (Template Reference, `AWS::CloudFormation::WaitCondition`).
const MAX_TIMEOUT: u64 = 43_200;

/// The signals of a handle by their `UniqueId`, oldest first.
type Signals = IndexMap<String, Signal>;

/// One signal: the JSON body of a `PUT` (User Guide, "Wait condition signal JSON format").
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signal {
    status: Status,
    #[serde(default)]
    reason: String,
    unique_id: String,
    #[serde(default)]
    data: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Failure,
}

/// Wakes the conditions that wait when a signal arrives.
#[derive(Default)]
struct Arrivals(Notify);

/// Handles the `PUT` of a signal.
pub async fn signal(State(cx): State<Context>, Path(handle): Path<String>, body: axum::body::Bytes) -> Response {
    let signal: Signal = match serde_json::from_slice(&body) {
        Ok(signal) => signal,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("The signal is malformed: {error}\n")).into_response(),
    };
    match record(&cx, &handle, &signal) {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => (StatusCode::NOT_FOUND, "The wait condition handle does not exist.\n").into_response(),
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "cannot store a signal of a wait condition"
            );
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Stores a signal in the region of its handle; a later one with the same id replaces it. Returns false if the handle does not exist.
fn record(cx: &Context, handle: &str, signal: &Signal) -> anyhow::Result<bool> {
    let lock = cx.shared::<crate::records::WriteLock>();
    let _guard = lock.lock();
    for cx in cx.regions() {
        if let Some(mut signals) = cx.store().get::<Signals>(HANDLES, handle)? {
            signals.insert(signal.unique_id.clone(), signal.clone());
            cx.store().put(HANDLES, handle, &signals)?;
            cx.extension::<Arrivals>().0.notify_waiters();
            return Ok(true);
        }
    }
    Ok(false)
}

/// The resource type `AWS::CloudFormation::WaitConditionHandle`.
pub struct WaitConditionHandle;

#[async_trait]
impl ResourceType for WaitConditionHandle {
    fn name(&self) -> &'static str {
        "AWS::CloudFormation::WaitConditionHandle"
    }

    fn schema(&self) -> Schema {
        Schema::default()
    }

    async fn create(&self, cx: &Context, _: &Desired) -> Result<Resource, Failure> {
        let handle = uuid::Uuid::new_v4().to_string();
        cx.store().put(HANDLES, &handle, &Signals::new())?;
        Ok(Resource::new(format!(
            "http://127.0.0.1:{}{PATH}{handle}",
            cx.config().port
        )))
    }

    async fn update(&self, _: &Context, physical_id: &str, _: &Value, _: &Desired) -> Result<Resource, Failure> {
        Ok(Resource::new(physical_id))
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _: &Value) -> Result<(), Failure> {
        if let Some(handle) = handle_of(physical_id) {
            cx.store().delete(HANDLES, handle)?;
        }
        Ok(())
    }
}

/// Returns the id in a handle's URL.
fn handle_of(url: &str) -> Option<&str> {
    url.split_once(PATH).map(|(_, handle)| handle)
}

/// The resource type `AWS::CloudFormation::WaitCondition`. It cannot be updated, as on AWS.
pub struct WaitCondition;

#[async_trait]
impl ResourceType for WaitCondition {
    fn name(&self) -> &'static str {
        "AWS::CloudFormation::WaitCondition"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["Handle", "Timeout", "Count"],
            required: &["Handle", "Timeout"],
            attributes: &["Data"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let number = |name: &str| match desired.properties.get(name) {
            None => Ok(1),
            Some(value) => scalar(value)
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| Failure::new(format!("{name} of a wait condition must be a whole number"))),
        };
        let (timeout, count) = (number("Timeout")?, number("Count")?);
        if timeout > MAX_TIMEOUT || count == 0 {
            let reason = format!("Timeout must be at most {MAX_TIMEOUT} seconds, and Count at least 1");
            return Err(Failure::new(reason));
        }
        let handle = desired.properties["Handle"].as_str().and_then(handle_of);
        let handle = handle.ok_or_else(|| Failure::new("Handle must be the URL of a wait condition handle"))?;
        let deadline = tokio::time::sleep(Duration::from_secs(timeout));
        tokio::pin!(deadline);
        let arrivals = cx.extension::<Arrivals>();
        loop {
            let mut arrival = std::pin::pin!(arrivals.0.notified());
            arrival.as_mut().enable();
            let signals: Option<Signals> = cx.store().get(HANDLES, handle)?;
            let signals = signals.ok_or_else(|| Failure::new("The wait condition handle does not exist"))?;
            if let Some(failed) = signals.values().find(|signal| signal.status == Status::Failure) {
                return Err(Failure::new(format!(
                    "WaitCondition received failed message: '{}' for uniqueId: {}",
                    failed.reason, failed.unique_id
                )));
            }
            if signals.len() as u64 >= count {
                let data: Map<String, Value> = signals
                    .into_values()
                    .map(|one| (one.unique_id, one.data.into()))
                    .collect();
                let id = format!("{}/{}", desired.stack_id, desired.logical_id);
                return Ok(Resource::new(id).with("Data", Value::Object(data).to_string()));
            }
            tokio::select! {
                () = &mut arrival => {}
                () = desired.cancel.cancelled() => return Err(Failure::new("The wait condition was cancelled")),
                () = &mut deadline => {
                    return Err(Failure::new(format!(
                        "WaitCondition timed out. Received {} conditions when expecting {count}",
                        signals.len()
                    )));
                }
            }
        }
    }

    async fn update(&self, _: &Context, _: &str, _: &Value, _: &Desired) -> Result<Resource, Failure> {
        Err(Failure::new(
            "Updates of AWS::CloudFormation::WaitCondition are not supported",
        ))
    }

    async fn delete(&self, _: &Context, _: &str, _: &Value) -> Result<(), Failure> {
        Ok(())
    }
}
