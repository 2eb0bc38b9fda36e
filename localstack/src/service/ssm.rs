//! The parameter store of Systems Manager.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::encryption;
use crate::records::{
    Record, RecordType, Records, WriteLock, now, page, record_type, seconds, tag_list, tags_of, texts,
};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, ResourceType, Schema, Service};

const PARAMETERS: Records = Records("ssm.parameters");
const TYPES: [&str; 3] = ["String", "StringList", "SecureString"];

/// Returns the service, signing name `ssm`.
pub fn service() -> Arc<dyn Service> {
    Arc::new(Ssm)
}

struct Ssm;

#[async_trait]
impl Service for Ssm {
    fn name(&self) -> &'static str {
        "ssm"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![record_type::<Parameter>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        let lock = cx.extension::<WriteLock>();
        let _guard = lock.lock();
        match call.operation.as_str() {
            "PutParameter" => put(cx, &call),
            "GetParameter" => {
                let name = call.required("Name")?;
                let found = find(cx, &name)?.ok_or_else(|| not_found(&name))?;
                Ok(json!({"Parameter": value(cx, &found, &call)?}))
            }
            "GetParameters" => get_all(cx, &call),
            "GetParametersByPath" => by_path(cx, &call),
            "DeleteParameter" => {
                if PARAMETERS.delete(cx, &call.required("Name")?)? {
                    Ok(json!({}))
                } else {
                    Err(not_found(&call.required("Name")?))
                }
            }
            "DeleteParameters" => delete_all(cx, &call),
            "DescribeParameters" => describe(cx, &call),
            "ListTagsForResource" => {
                let name = call.required("ResourceId")?;
                let found = find(cx, &name)?.ok_or_else(|| not_found(&name))?;
                Ok(json!({"TagList": tag_list(&found.tags)}))
            }
            other => Err(AwsError::not_implemented("ssm", other)),
        }
    }
}

struct Parameter;

impl RecordType for Parameter {
    const TYPE: &'static str = "AWS::SSM::Parameter";
    const RECORDS: Records = PARAMETERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "Name",
                "Type",
                "Value",
                "Description",
                "AllowedPattern",
                "DataType",
                "Policies",
                "Tags",
                "Tier",
            ],
            required: &["Type", "Value"],
            create_only: &["Name"],
            attributes: &["Type", "Value"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("Name")
            .unwrap_or_else(|| format!("CFN-{}", desired.generated_name(1000)));
        check(&record)?;
        if record.has("Type", "SecureString") {
            return Err(AwsError::new(
                "ValidationException",
                "A template cannot create a parameter of type SecureString.",
            ));
        }
        if PARAMETERS.get(cx, &record.id)?.is_some() {
            return Err(already_exists());
        }
        record.computed.insert("Version".into(), 1.into());
        record.computed.insert("Modified".into(), record.created.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Type", record.text("Type").unwrap_or_default())
            .with("Value", record.text("Value").unwrap_or_default())
    }

    /// Returns the tags as an object, unlike most types.
    fn read(record: &Record) -> Value {
        let mut live = record.template_properties();
        if let Some(tags) = live.get("Tags").map(tags_of) {
            live["Tags"] = json!(tags);
        }
        live
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)?;
        next_version(record);
        Ok(())
    }
}

fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("Name")?;
    let existing = PARAMETERS.get(cx, &name)?;
    if existing.is_some() && call.boolean("Overwrite") != Some(true) {
        return Err(already_exists());
    }
    let mut record = existing.unwrap_or_else(|| Record::from_properties(&name, json!({"Name": name})));
    for member in [
        "Type",
        "Value",
        "Description",
        "AllowedPattern",
        "DataType",
        "Tier",
        "Policies",
        "KeyId",
    ] {
        if let Some(text) = call.text(member) {
            record.properties.insert(member.into(), text.into());
        }
    }
    record.properties.entry("Type").or_insert_with(|| "String".into());
    record.tags.extend(tags_of(&call.input["Tags"]));
    check(&record)?;
    if record.has("Type", "SecureString")
        && let Some(plaintext) = call.text("Value")
    {
        let sealed = encryption::seal(cx, &name, plaintext.as_bytes())?;
        record.properties.insert("Value".into(), sealed.into());
    }
    next_version(&mut record);
    PARAMETERS.put(cx, &record)?;
    Ok(json!({"Version": version(&record), "Tier": "Standard"}))
}

fn get_all(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in call.texts("Names") {
        match find(cx, &name)? {
            Some(record) => found.push(value(cx, &record, call)?),
            None => invalid.push(name),
        }
    }
    Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
}

fn by_path(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let path = format!("{}/", call.required("Path")?.trim_end_matches('/'));
    let recursive = call.boolean("Recursive") == Some(true);
    let mut found = PARAMETERS.list(cx)?;
    found.retain(|p| {
        p.id.strip_prefix(&path)
            .is_some_and(|rest| recursive || !rest.contains('/'))
    });
    let limit = call.limit("MaxResults", 10, 1..=10);
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let found = found
        .iter()
        .map(|p| value(cx, p, call))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(with_token(json!({"Parameters": found}), next))
}

fn delete_all(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
    for name in call.texts("Names") {
        if PARAMETERS.delete(cx, &name)? {
            deleted.push(name);
        } else {
            invalid.push(name);
        }
    }
    Ok(json!({"DeletedParameters": deleted, "InvalidParameters": invalid}))
}

fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = PARAMETERS.list(cx)?;
    for filter in call.list("ParameterFilters") {
        let key = filter["Key"].as_str().unwrap_or_default().to_owned();
        let option = filter["Option"]
            .as_str()
            .unwrap_or(if key == "Path" { "OneLevel" } else { "Equals" });
        let values = texts(filter.get("Values"));
        let value_of = |p: &Record| match key.as_str() {
            "Name" | "Path" => Some(p.id.clone()),
            "Type" | "Tier" | "DataType" | "KeyId" => p.text(&key),
            _ => key.strip_prefix("tag:").and_then(|tag| p.tags.get(tag).cloned()),
        };
        if !matches!(key.as_str(), "Name" | "Path" | "Type" | "Tier" | "DataType" | "KeyId") && !key.starts_with("tag:")
        {
            return Err(AwsError::new(
                "InvalidFilterKey",
                format!("The embedded endpoint does not support the parameter filter key {key}."),
            ));
        }
        let matches = |text: &str, value: &String| match option {
            "BeginsWith" => text.starts_with(value.as_str()),
            "Contains" => text.contains(value.as_str()),
            "Recursive" => text.starts_with(&format!("{}/", value.trim_end_matches('/'))),
            "OneLevel" => text
                .strip_prefix(&format!("{}/", value.trim_end_matches('/')))
                .is_some_and(|rest| !rest.contains('/')),
            _ => text == value,
        };
        found.retain(|p| value_of(p).is_some_and(|text| values.is_empty() || values.iter().any(|v| matches(&text, v))));
    }
    let limit = call.limit("MaxResults", 10, 1..=50);
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let shown = |p: &Record| {
        json!({
            "Name": p.id, "ARN": arn(cx, &p.id), "Type": p.text("Type"), "Version": version(p), "Tier": "Standard",
            "LastModifiedDate": seconds(modified(p)), "DataType": p.text("DataType").unwrap_or_else(|| "text".into()),
            "Description": p.text("Description").unwrap_or_default(), "Policies": [],
        })
    };
    Ok(with_token(
        json!({"Parameters": found.iter().map(shown).collect::<Vec<_>>()}),
        next,
    ))
}

/// Finds a parameter by its name or ARN, either of them with an optional `:version`.
fn find(cx: &Context, given: &str) -> Result<Option<Record>, AwsError> {
    let name = match given.split_once(":parameter") {
        Some((_, rest)) => rest,
        None => given,
    };
    let (name, requested) = match name.rsplit_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    };
    let without_slash = name.trim_start_matches('/');
    let found = PARAMETERS.get(cx, name)?.or(if given.starts_with("arn:") {
        PARAMETERS.get(cx, without_slash)?
    } else {
        None
    });
    match (found, requested) {
        (Some(found), Some(requested)) if version(&found).to_string() != requested => Err(AwsError::new(
            "ParameterVersionNotFound",
            format!(
                "Systems Manager could not find version {requested} of {name}: this endpoint stores only the newest version."
            ),
        )),
        (found, _) => Ok(found),
    }
}

fn value(cx: &Context, record: &Record, call: &Call) -> Result<Value, AwsError> {
    let mut text = record.text("Value").unwrap_or_default();
    if record.has("Type", "SecureString") && call.boolean("WithDecryption") == Some(true) {
        text = String::from_utf8(encryption::open(cx, &record.id, &text)?).map_err(anyhow::Error::from)?;
    }
    Ok(json!({
        "Name": record.id, "Type": record.text("Type"), "Value": text, "Version": version(record),
        "LastModifiedDate": seconds(modified(record)), "ARN": arn(cx, &record.id),
        "DataType": record.text("DataType").unwrap_or_else(|| "text".into()),
    }))
}

fn check(record: &Record) -> Result<(), AwsError> {
    let invalid = |message: String| Err(AwsError::new("ValidationException", message));
    let parameter_type = record.text("Type").unwrap_or_default();
    let value = record.text("Value").unwrap_or_default();
    if !TYPES.contains(&parameter_type.as_str()) {
        return invalid(format!(
            "Type must be one of {}; it is '{parameter_type}'.",
            TYPES.join(", ")
        ));
    }
    if value.is_empty() || value.len() > 8192 {
        return invalid("Value must have 1 to 4096 characters (8192 in the advanced tier).".into());
    }
    if !record
        .id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c))
    {
        return invalid(
            "Parameter name: can't be prefixed with \"ssm\"; only a-z, A-Z, 0-9 and _.-/ are allowed.".into(),
        );
    }
    let Some(pattern) = record.text("AllowedPattern").filter(|pattern| !pattern.is_empty()) else {
        return Ok(());
    };
    match regex::Regex::new(&pattern).map(|pattern| pattern.is_match(&value)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(AwsError::new(
            "ParameterPatternMismatchException",
            format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
        )),
        Err(_) => Err(AwsError::new(
            "InvalidAllowedPatternException",
            format!("{pattern} is not a regular expression"),
        )),
    }
}

fn next_version(record: &mut Record) {
    record.computed.insert("Version".into(), (version(record) + 1).into());
    record.computed.insert("Modified".into(), now().into());
}

fn version(record: &Record) -> i64 {
    record.computed.get("Version").and_then(Value::as_i64).unwrap_or(0)
}

fn modified(record: &Record) -> i64 {
    record
        .computed
        .get("Modified")
        .and_then(Value::as_i64)
        .unwrap_or(record.created)
}

fn arn(cx: &Context, name: &str) -> String {
    cx.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

fn with_token(mut response: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        response["NextToken"] = token.into();
    }
    response
}

fn not_found(name: &str) -> AwsError {
    AwsError::new("ParameterNotFound", format!("Parameter {name} not found."))
}

fn already_exists() -> AwsError {
    let reason =
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
    AwsError::new("ParameterAlreadyExists", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::context_with;

    #[tokio::test]
    async fn a_parameter_is_overwritten_only_on_request_and_a_secure_one_is_encrypted() {
        let (cx, _folder) = context_with(vec![service()]);
        let put = |input: Value| cx.call("ssm", "PutParameter", input);
        put(json!({"Name": "/lock", "Value": "me", "Type": "String"}))
            .await
            .unwrap();
        let second = put(json!({"Name": "/lock", "Value": "you", "Type": "String"}))
            .await
            .unwrap_err();
        assert_eq!(second.code, "ParameterAlreadyExists");
        let overwritten = put(json!({"Name": "/lock", "Value": "you", "Overwrite": true}))
            .await
            .unwrap();
        assert_eq!(overwritten["Version"], 2);

        put(json!({"Name": "/hush", "Value": "secret", "Type": "SecureString"}))
            .await
            .unwrap();
        let get = async |decrypt: bool| {
            let input = json!({"Name": "/hush", "WithDecryption": decrypt});
            cx.call("ssm", "GetParameter", input).await.unwrap()["Parameter"]["Value"].clone()
        };
        assert_eq!(get(true).await, "secret");
        assert_ne!(get(false).await, "secret");
        let filters = json!({"ParameterFilters": [{"Key": "Name", "Option": "BeginsWith", "Values": ["/l"]}]});
        let found = cx.call("ssm", "DescribeParameters", filters).await.unwrap();
        assert_eq!(found["Parameters"].as_array().unwrap().len(), 1);
    }
}
