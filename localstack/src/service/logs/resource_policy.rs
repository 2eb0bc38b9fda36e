//! `AWS::Logs::ResourcePolicy` and the operations on resource policies, which are stored and not evaluated.

use serde_json::{Value, json};

use super::model::with_token;
use super::{invalid, limit, page};
use crate::records::{Record, RecordType, Records, WriteLock, now};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context, Desired, Schema};

const POLICIES: Records = Records("logs.resource-policies");
/// The number of policies of a region (CloudWatch Logs quotas).
const MAX_POLICIES: usize = 10;
const UPDATED: &str = "Updated";

pub struct ResourcePolicy;

impl RecordType for ResourcePolicy {
    const TYPE: &'static str = "AWS::Logs::ResourcePolicy";
    const RECORDS: Records = POLICIES;

    fn schema() -> Schema {
        Schema {
            properties: &["PolicyName", "PolicyDocument"],
            required: &["PolicyName", "PolicyDocument"],
            create_only: &["PolicyName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new("", desired);
        let name = record.text("PolicyName").unwrap_or_default();
        if POLICIES.get(cx, &name)?.is_some() {
            let message = format!("A resource policy with the name {name} exists already.");
            return Err(AwsError::new("ResourceAlreadyExistsException", message));
        }
        checked(cx, Record { id: name, ..record })
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        *record = checked(cx, std::mem::take(record))?;
        Ok(())
    }
}

/// Checks a policy, and that it has room if it is new.
fn checked(cx: &Context, mut record: Record) -> Result<Record, AwsError> {
    let document = record.text("PolicyDocument").unwrap_or_default();
    if document.is_empty() || document.len() > 5120 {
        return Err(invalid("policyDocument must have 1 to 5120 characters."));
    }
    let all = POLICIES.list(cx)?;
    if all.len() >= MAX_POLICIES && !all.iter().any(|policy| policy.id == record.id) {
        return Err(AwsError::new("LimitExceededException", "Resource limit exceeded."));
    }
    record.computed.insert(UPDATED.into(), now().into());
    Ok(record)
}

/// `PutResourcePolicy`, `DescribeResourcePolicies` and `DeleteResourcePolicy`.
pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    match call.operation.as_str() {
        "PutResourcePolicy" => {
            only(call, "InvalidParameterException", &["policyName", "policyDocument"])?;
            let name = call.required("policyName")?;
            let properties = json!({"PolicyName": name, "PolicyDocument": call.required("policyDocument")?});
            let existing = POLICIES.get(cx, &name)?;
            let mut record = existing.unwrap_or_else(|| Record::from_properties(&name, json!({})));
            record.properties = properties.as_object().cloned().unwrap_or_default();
            let record = checked(cx, record)?;
            POLICIES.put(cx, &record)?;
            Ok(json!({"resourcePolicy": description(&record)}))
        }
        "DescribeResourcePolicies" => {
            let limit = limit(call, 50, 50)?;
            let (found, next) = page(POLICIES.list(cx)?, limit, call.text("nextToken").as_deref())?;
            let shown: Vec<Value> = found.iter().map(description).collect();
            Ok(with_token(json!({"resourcePolicies": shown}), next))
        }
        _ => {
            let name = call.required("policyName")?;
            if !POLICIES.delete(cx, &name)? {
                let message = format!("Policy with name [{name}] does not exist.");
                return Err(AwsError::new("ResourceNotFoundException", message));
            }
            Ok(json!({}))
        }
    }
}

fn description(policy: &Record) -> Value {
    json!({
        "policyName": policy.id, "policyDocument": policy.text("PolicyDocument"),
        "lastUpdatedTime": policy.computed.get(UPDATED),
    })
}
