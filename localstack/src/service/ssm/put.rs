//! `PutParameter`.

use serde_json::{Value, json};

use super::parameter::{PARAMETERS, already_exists, check, named, tier};
use super::version;
use crate::encryption;
use crate::records::{Record, tags_of};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

/// The members that become properties.
const STORED: [&str; 8] = [
    "Type",
    "Value",
    "Description",
    "AllowedPattern",
    "DataType",
    "Tier",
    "Policies",
    "KeyId",
];

pub fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = [&STORED[..], &["Name", "Overwrite", "Tags"]].concat();
    only(call, "ValidationException", &members)?;
    let name = call.required("Name")?;
    let former = named(cx, &name)?;
    let invalid = |message: &str| Err(AwsError::new("ValidationException", message));
    match &former {
        Some(_) if call.boolean("Overwrite") != Some(true) => return Err(already_exists()),
        Some(_) if !call.list("Tags").is_empty() => {
            return invalid("Invalid request: tags and overwrite can't be used together.");
        }
        Some(former) if former.has("Tier", "Advanced") && call.text("Tier").as_deref() == Some("Standard") => {
            return invalid(
                "This parameter uses the advanced-parameter tier. You can't downgrade it to the standard tier.",
            );
        }
        None if call.text("Type").is_none() => {
            return invalid("A parameter type is required when you create a parameter.");
        }
        _ => {}
    }
    if let Some(former) = &former {
        version::check_room(former)?;
    }
    let mut record = former
        .clone()
        .unwrap_or_else(|| Record::from_properties(&name, json!({"Name": name})));
    let plaintext = call.required("Value")?;
    for member in STORED {
        if let Some(text) = call.text(member) {
            record.properties.insert(member.into(), text.into());
        }
    }
    record.tags.extend(tags_of(&call.input["Tags"]));
    check(&record)?;
    let tier = tier(&record);
    record.properties.insert("Tier".into(), tier.clone().into());
    if record.has("Type", "SecureString") {
        let sealed = encryption::seal(cx, &record.id, plaintext.as_bytes())?;
        record.properties.insert("Value".into(), sealed.into());
    }
    version::next(&mut record, former.as_ref());
    PARAMETERS.put(cx, &record)?;
    Ok(json!({"Version": version::number(&record), "Tier": tier}))
}
