//! Attributes of load balancers, target groups and listeners: descriptions and changes.

use serde_json::{Value, json};

use super::attribute_kind::Kind;
use super::model::text;
use super::{stickiness, sync};
use crate::records::WriteLock;
use crate::service::Call;
use crate::{AwsError, Context};

pub fn describe(cx: &Context, call: &Call, kind: Kind) -> Result<Value, AwsError> {
    let (record, _) = kind.find(cx, call)?;
    let mut all = kind.own(&record);
    for known in kind.table().iter().filter(|known| known.is_shown) {
        if !all.iter().any(|one| text(one, "Key").as_deref() == Some(known.key)) {
            all.push(json!({"Key": known.key, "Value": known.default}));
        }
    }
    Ok(json!({ "Attributes": all }))
}

pub fn modify(cx: &Context, call: &Call, kind: Kind) -> Result<Value, AwsError> {
    {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let (mut record, records) = kind.find(cx, call)?;
        let mut all = kind.own(&record);
        for new in call.list("Attributes") {
            kind.check_one(&new)?;
            all.retain(|old| text(old, "Key") != text(&new, "Key"));
            all.push(new);
        }
        record.properties.insert(kind.property(), all.into());
        if matches!(kind, Kind::TargetGroup) {
            stickiness::check(&record)?;
        }
        records.put(cx, &record)?;
    }
    sync::apply(cx)?;
    describe(cx, call, kind)
}
