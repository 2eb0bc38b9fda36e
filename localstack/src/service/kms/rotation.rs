//! Rotation of the key material of symmetric keys. What earlier material encrypted can still be decrypted.

use serde_json::{Value, json};

use super::key::{check_enabled, usable};
use super::model::{KEYS, arn, find_key};
use super::{listed, spec};
use crate::records::{Record, WriteLock, now, seconds};
use crate::service::Call;
use crate::{AwsError, Context};

/// The computed value with the dates of the rotations on demand, in milliseconds since 1970.
const ROTATIONS: &str = "Rotations";
/// "You can perform on-demand rotation of the key material a maximum of 25 times per KMS key" (KMS API Reference, `RotateKeyOnDemand`).
const MAX_ROTATIONS: usize = 25;

fn dates(key: &Record) -> Vec<i64> {
    let list = key.computed.get(ROTATIONS).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// Returns the number of times that a key was rotated on demand.
pub fn count(key: &Record) -> usize {
    dates(key).len()
}

pub fn on_demand(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut key = usable(cx, call)?;
    check_enabled(cx, &key)?;
    if spec::of(&key)?.name != spec::SYMMETRIC {
        let message = format!("{} has no key material that can be rotated on demand.", arn(cx, &key));
        return Err(AwsError::new("UnsupportedOperationException", message));
    }
    let mut dates = dates(&key);
    if dates.len() >= MAX_ROTATIONS {
        let message = format!("A key can be rotated on demand {MAX_ROTATIONS} times.");
        return Err(AwsError::new("LimitExceededException", message));
    }
    dates.push(now());
    key.computed.insert(ROTATIONS.into(), json!(dates));
    KEYS.put(cx, &key)?;
    Ok(json!({"KeyId": key.id}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = find_key(cx, &call.required("KeyId")?)?;
    if let Some(include) = call
        .text("IncludeKeyMaterial")
        .filter(|include| include != "ROTATIONS_ONLY")
    {
        let message = format!("The embedded endpoint does not support IncludeKeyMaterial {include}.");
        return Err(AwsError::new("UnsupportedOperationException", message));
    }
    let shown = dates(&key)
        .into_iter()
        .map(|date| json!({"KeyId": key.id, "RotationDate": seconds(date), "RotationType": "ON_DEMAND"}));
    listed(call, "Rotations", shown.collect())
}
