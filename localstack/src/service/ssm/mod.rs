//! The parameter store of Systems Manager.

mod filter;
mod label;
mod parameter;
mod put;
mod read;
mod secret;
mod version;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::input::change_tags;
use crate::records::{Record, WriteLock, record_type};
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

use parameter::{PARAMETERS, not_found};

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
        vec![record_type::<parameter::Parameter>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        if call.operation == "GetParameter"
            && let Some(found) = secret::get(cx, &call).await?
        {
            return Ok(found);
        }
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        match call.operation.as_str() {
            "PutParameter" => put::put(cx, &call),
            "GetParameter" => read::get(cx, &call),
            "GetParameters" => read::get_all(cx, &call),
            "GetParametersByPath" => read::by_path(cx, &call),
            "GetParameterHistory" => read::history(cx, &call),
            "DescribeParameters" => read::describe(cx, &call),
            "DeleteParameter" => {
                let name = call.required("Name")?;
                if delete(cx, &name)? {
                    Ok(json!({}))
                } else {
                    Err(not_found(&name))
                }
            }
            "DeleteParameters" => delete_all(cx, &call),
            "LabelParameterVersion" => label::label(cx, &call),
            "UnlabelParameterVersion" => label::unlabel(cx, &call),
            "ListTagsForResource" => Ok(json!({"TagList": tagged(cx, &call)?.tag_list()})),
            "AddTagsToResource" | "RemoveTagsFromResource" => {
                let mut record = tagged(cx, &call)?;
                change_tags(&mut record, &call.input["Tags"], &call.input["TagKeys"]);
                PARAMETERS.put(cx, &record)?;
                Ok(json!({}))
            }
            other => Err(AwsError::not_implemented("ssm", other)),
        }
    }
}

/// Returns the parameter whose tags a call reads or changes.
fn tagged(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let (kind, name) = (call.required("ResourceType")?, call.required("ResourceId")?);
    if kind != "Parameter" {
        return Err(AwsError::new(
            "InvalidResourceType",
            format!("The embedded endpoint has only resources of the type Parameter, not {kind}."),
        ));
    }
    let missing = || AwsError::new("InvalidResourceId", format!("The resource ID {name} is not valid."));
    parameter::find(cx, &name)?.ok_or_else(missing)
}

fn delete(cx: &Context, name: &str) -> Result<bool, AwsError> {
    match parameter::find(cx, name)? {
        Some(found) => PARAMETERS.delete(cx, &found.id),
        None => Ok(false),
    }
}

fn delete_all(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
    for name in call.texts("Names") {
        if delete(cx, &name)? {
            deleted.push(name);
        } else {
            invalid.push(name);
        }
    }
    Ok(json!({"DeletedParameters": deleted, "InvalidParameters": invalid}))
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

    #[tokio::test]
    async fn versions_labels_and_both_forms_of_a_name_are_found() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("ssm", operation, input).await;
        for value in ["one", "two", "three"] {
            let input = json!({"Name": "/p", "Value": value, "Type": "String", "Overwrite": true});
            call("PutParameter", input).await.unwrap();
        }
        call(
            "LabelParameterVersion",
            json!({"Name": "/p", "ParameterVersion": 1, "Labels": ["old"]}),
        )
        .await
        .unwrap();
        for (name, expected) in [("/p", "three"), ("p", "three"), ("/p:2", "two"), ("/p:old", "one")] {
            let found = call("GetParameter", json!({"Name": name})).await.unwrap();
            assert_eq!(found["Parameter"]["Value"], expected, "{name}");
        }
        let history = call("GetParameterHistory", json!({"Name": "/p"})).await.unwrap();
        let versions: Vec<&Value> = history["Parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| &p["Version"])
            .collect();
        assert_eq!(versions, [1, 2, 3]);
        assert_eq!(history["Parameters"][0]["Labels"], json!(["old"]));
        let several = call("GetParameters", json!({"Names": ["/p:9", "/p:1"]})).await.unwrap();
        assert_eq!(several["InvalidParameters"], json!(["/p:9"]));
        assert_eq!(several["Parameters"][0]["Value"], "one");
        let add = json!({"ResourceType": "Parameter", "ResourceId": "/p", "Tags": [{"Key": "a", "Value": "b"}]});
        call("AddTagsToResource", add).await.unwrap();
        let tags = call(
            "ListTagsForResource",
            json!({"ResourceType": "Parameter", "ResourceId": "p"}),
        )
        .await
        .unwrap();
        assert_eq!(tags["TagList"], json!([{"Key": "a", "Value": "b"}]));
        let described = call(
            "DescribeParameters",
            json!({"Filters": [{"Key": "Name", "Values": ["/q"]}]}),
        )
        .await
        .unwrap();
        assert_eq!(described["Parameters"], json!([]));
    }

    #[tokio::test]
    async fn a_parameter_that_aws_rejects_is_rejected_by_its_code() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("ssm", operation, input).await;
        call("PutParameter", json!({"Name": "known", "Value": "v", "Type": "String"}))
            .await
            .unwrap();
        let long = "x".repeat(5000);
        for (input, code) in [
            (json!({"Name": "n", "Value": "v"}), "ValidationException"),
            (
                json!({"Name": "n", "Value": long, "Type": "String"}),
                "ValidationException",
            ),
            (
                json!({"Name": "ssm-n", "Value": "v", "Type": "String"}),
                "ValidationException",
            ),
            (
                json!({"Name": "/aws/n", "Value": "v", "Type": "String"}),
                "AccessDeniedException",
            ),
            (
                json!({"Name": "a/b", "Value": "v", "Type": "String"}),
                "ValidationException",
            ),
            (
                json!({"Name": "/known", "Value": "v", "Type": "String"}),
                "ParameterAlreadyExists",
            ),
            (
                json!({"Name": "n", "Value": "v", "Type": "String", "DataType": "weird"}),
                "ValidationException",
            ),
            (
                json!({"Name": "n", "Value": "v", "Type": "String", "Policies": "[{}]"}),
                "InvalidPolicyTypeException",
            ),
            (
                json!({"Name": "n", "Value": "v", "Type": "String", "Tier": "Large"}),
                "ValidationException",
            ),
        ] {
            assert_eq!(
                call("PutParameter", input.clone()).await.unwrap_err().code,
                code,
                "{input}"
            );
        }
        let large = json!({"Name": "n", "Value": long, "Type": "String", "Tier": "Intelligent-Tiering"});
        assert_eq!(call("PutParameter", large).await.unwrap()["Tier"], "Advanced");
        let version = call("GetParameter", json!({"Name": "n:7"})).await.unwrap_err();
        assert_eq!(version.code, "ParameterVersionNotFound");
    }
    #[tokio::test]
    async fn a_secret_is_read_as_a_parameter() {
        let (cx, _folder) = context_with(vec![service(), crate::service::secretsmanager::service()]);
        for (operation, value) in [("CreateSecret", "one"), ("PutSecretValue", "two")] {
            let name = if operation == "CreateSecret" {
                "Name"
            } else {
                "SecretId"
            };
            let input = json!({name: "s", "SecretString": value});
            cx.call("secretsmanager", operation, input).await.unwrap();
        }
        let get = async |selector: &str, decrypt: bool| {
            let name = format!("/aws/reference/secretsmanager/s{selector}");
            let input = json!({"Name": name, "WithDecryption": decrypt});
            cx.call("ssm", "GetParameter", input).await
        };
        assert_eq!(get("", true).await.unwrap()["Parameter"]["Value"], "two");
        assert_eq!(get(":AWSPREVIOUS", true).await.unwrap()["Parameter"]["Value"], "one");
        assert_eq!(get("", false).await.unwrap_err().code, "ValidationException");
        assert_eq!(get("-none", true).await.unwrap_err().code, "ParameterNotFound");
    }
}
