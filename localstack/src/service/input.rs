//! Checks of the members of a call, and changes of the tags of a record.

use serde_json::{Map, Value};

use crate::records::{Record, Records, WriteLock, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context};

/// Refuses the members that an operation neither acts on nor stores.
///
/// # Errors
/// An error with this code that names the first such member.
pub fn only(call: &Call, code: &str, members: &[&str]) -> Result<(), AwsError> {
    let given = call.input.as_object().into_iter().flat_map(Map::keys);
    match given.into_iter().find(|member| !members.contains(&member.as_str())) {
        None => Ok(()),
        Some(member) => {
            let message = format!(
                "The embedded endpoint does not support the parameter {member} of {}.",
                call.operation
            );
            Err(AwsError::new(code, message))
        }
    }
}

/// Returns the integer member `member` within `range`, `default` where it is missing; `None` if it is outside.
pub fn limit(call: &Call, member: &str, default: usize, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
    match call.text(member) {
        None => Some(default),
        Some(text) => text.parse().ok().filter(|number| range.contains(number)),
    }
}

/// Adds the tags `add` to a record and removes those with the keys `remove`. Returns false if there is no such record.
///
/// # Errors
/// When the state cannot be read or written.
pub fn retag(cx: &Context, records: Records, id: &str, add: &Value, remove: &Value) -> Result<bool, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let Some(mut record) = records.get(cx, id)? else {
        return Ok(false);
    };
    change_tags(&mut record, add, remove);
    records.put(cx, &record)?;
    Ok(true)
}

/// Adds and removes tags of a record in memory.
pub fn change_tags(record: &mut Record, add: &Value, remove: &Value) {
    for (key, value) in tags_of(add) {
        record.inherited.retain(|inherited| *inherited != key);
        record.tags.insert(key, value);
    }
    for key in texts(Some(remove)) {
        record.tags.shift_remove(&key);
        record.inherited.retain(|inherited| *inherited != key);
    }
}

/// Returns the members of an input as properties of a template: those in `names`, which are pairs of member and property.
pub fn properties(input: &Value, names: &[(&str, &str)]) -> Map<String, Value> {
    let given = names
        .iter()
        .filter_map(|(member, property)| Some(((*property).to_owned(), input.get(member)?.clone())));
    given.collect()
}
