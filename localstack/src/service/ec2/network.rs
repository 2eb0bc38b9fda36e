//! AWS's prefix lists.

use serde_json::{Value, json};

use super::describe::{not_found, page_of};
use super::error::invalid_parameter;
use crate::service::Call;
use crate::{AwsError, Context};

/// AWS-managed prefix lists of gateway endpoints: the service, and the ID and the blocks that AWS has in us-east-1.
const PREFIX_LISTS: [(&str, &str, &[&str]); 2] = [
    (
        "s3",
        "pl-63a5400a",
        &[
            "3.5.0.0/19",
            "16.182.0.0/16",
            "18.34.0.0/19",
            "52.216.0.0/15",
            "54.231.0.0/16",
        ],
    ),
    (
        "dynamodb",
        "pl-02cd2c6b",
        &["3.218.180.0/23", "3.218.182.0/24", "35.71.64.0/22", "52.94.0.0/22"],
    ),
];

pub fn prefix_lists(cx: &Context) -> Vec<Value> {
    let shown = |(service, id, blocks): (&str, &str, &[&str])| {
        let name = format!("com.amazonaws.{}.{service}", cx.region());
        json!({"PrefixListId": id, "PrefixListName": name, "Cidrs": blocks})
    };
    PREFIX_LISTS.into_iter().map(shown).collect()
}

/// Returns the blocks of one list, which has had one version only.
pub fn prefix_list_entries(call: &Call) -> Result<Value, AwsError> {
    let id = call.text("PrefixListId").unwrap_or_default();
    if let Some(version) = call.text("TargetVersion") {
        let reason = format!("Value ({version}) for parameter targetVersion is invalid. The list has no versions.");
        return Err(invalid_parameter(reason));
    }
    let found = PREFIX_LISTS.iter().find(|(_, known, _)| *known == id);
    let (_, _, blocks) = found.ok_or_else(|| not_found("PrefixListId", &id))?;
    let entries = blocks.iter().map(|block| json!({"Cidr": block})).collect();
    page_of("Entries", entries, call)
}

pub fn managed_prefix_lists(cx: &Context) -> Vec<Value> {
    let shown = |(service, id, _): (&str, &str, &[&str])| {
        json!({
            "PrefixListId": id, "PrefixListName": format!("com.amazonaws.{}.{service}", cx.region()),
            "PrefixListArn": format!("arn:aws:ec2:{}:aws:prefix-list/{id}", cx.region()), "OwnerId": "AWS",
            "AddressFamily": "IPv4", "State": "create-complete", "Tags": [],
        })
    };
    PREFIX_LISTS.into_iter().map(shown).collect()
}
