//! The parameters of a parameter group: those that the group sets, and those that the installed PostgreSQL has.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::groups::ParameterGroup;
use super::model::PARAMETER_GROUPS;
use super::validation::invalid;
use crate::records::{Record, RecordType, page, scalar};
use crate::runtime::postgres::{Installation, Parameters};
use crate::{AwsError, Call, Context};

/// The property with the `ApplyMethod` of each parameter; a template has none.
const METHODS: &str = "ApplyMethods";

/// A setting of the installed PostgreSQL.
struct Setting {
    name: String,
    /// True if it takes effect without a restart.
    is_dynamic: bool,
    is_modifiable: bool,
    data_type: &'static str,
    default: String,
    description: String,
}

/// Returns the settings that `postgres --describe-config` lists: name, context, group, type, default, bounds, description.
fn settings() -> &'static [Setting] {
    static SETTINGS: OnceLock<Vec<Setting>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let Ok(install) = Installation::find() else {
            return Vec::new();
        };
        let output = Command::new(install.tool("postgres")).arg("--describe-config").output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().filter_map(setting).collect()
    })
}

fn setting(line: &str) -> Option<Setting> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [name, context, _, kind, default, _, _, description, ..] = columns.as_slice() else {
        return None;
    };
    Some(Setting {
        name: (*name).to_owned(),
        is_dynamic: *context != "postmaster",
        is_modifiable: Parameters::from_property(Some(&json!({ *name: "" })))
            .first_rejected("")
            .is_none(),
        data_type: match *kind {
            "BOOLEAN" => "boolean",
            "INTEGER" => "integer",
            "REAL" => "float",
            _ => "string",
        },
        default: default.trim_matches('\'').to_owned(),
        description: (*description).to_owned(),
    })
}

fn group(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let name = call.required("DBParameterGroupName")?;
    let found = PARAMETER_GROUPS.get(cx, &name.to_lowercase())?;
    found.ok_or_else(|| {
        let message = format!("DBParameterGroup not found: {name}");
        AwsError::new("DBParameterGroupNotFound", message).with_status(404)
    })
}

/// Lists parameters. `Source` selects those of the `user`, or those with the server's own value (`engine-default`).
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    if let Some(filters) = call.input.get("Filters") {
        return Err(invalid(format!("Unrecognized filters: {filters}")));
    }
    let group = group(cx, call)?;
    let given = object(&group, "Parameters");
    let methods = object(&group, METHODS);
    let known = settings();
    let mut all: Vec<Value> = known
        .iter()
        .map(|setting| {
            let own = given.get(&setting.name).and_then(scalar);
            let source = if own.is_some() { "user" } else { "engine-default" };
            let value = own.unwrap_or_else(|| setting.default.clone());
            json!({
                "ParameterName": setting.name, "ParameterValue": Some(value).filter(|value| !value.is_empty()), "Source": source,
                "Description": setting.description, "DataType": setting.data_type,
                "ApplyType": if setting.is_dynamic { "dynamic" } else { "static" },
                "IsModifiable": setting.is_modifiable, "ApplyMethod": method(&methods, &setting.name),
            })
        })
        .collect();
    // Parameters of RDS itself and of extensions.
    let others = given
        .iter()
        .filter(|(name, _)| !known.iter().any(|setting| setting.name == **name));
    all.extend(others.map(|(name, value)| {
        json!({
            "ParameterName": name, "ParameterValue": scalar(value), "Source": "user", "DataType": "string",
            "ApplyType": "dynamic", "IsModifiable": true, "ApplyMethod": method(&methods, name),
        })
    }));
    if let Some(source) = call.text("Source") {
        all.retain(|parameter| parameter["Source"] == source.as_str());
    }
    all.sort_by_key(|parameter| parameter["ParameterName"].as_str().map(str::to_owned));
    let limit = call.limit("MaxRecords", 100, 20..=100);
    let (parameters, next) = page(all, limit, call.text("Marker").as_deref())?;
    Ok(json!({"Parameters": parameters, "Marker": next}))
}

fn object(group: &Record, property: &str) -> Map<String, Value> {
    let found = group.properties.get(property).and_then(Value::as_object);
    found.cloned().unwrap_or_default()
}

fn method(methods: &Map<String, Value>, name: &str) -> Value {
    let default = || "pending-reboot".into();
    methods.get(name).cloned().unwrap_or_else(default)
}

/// Sets parameters.
pub async fn modify(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    change(cx, call, |values, methods, name, parameter| {
        let Some(value) = parameter.get("ParameterValue") else {
            return Err(invalid(format!("ParameterValue of {name} is missing")));
        };
        values.insert(name.to_owned(), value.clone());
        methods.insert(name.to_owned(), apply_method(name, parameter)?);
        Ok(())
    })
    .await
}

/// Resets parameters to the server's own values: those that the call names, or all.
pub async fn reset(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let all = call.boolean("ResetAllParameters").unwrap_or(true);
    if all != call.list("Parameters").is_empty() {
        let message = "Specify either ResetAllParameters or a list of parameters.";
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    if all {
        let group = group(cx, call)?;
        let update = cx.update_resource(ParameterGroup::TYPE, &group.id, |properties| {
            properties.shift_remove("Parameters");
            properties.shift_remove(METHODS);
            Ok(())
        });
        update.await?;
        return Ok(json!({"DBParameterGroupName": group.id}));
    }
    change(cx, call, |values, methods, name, _| {
        values.shift_remove(name);
        methods.shift_remove(name);
        Ok(())
    })
    .await
}

/// Returns the method, which cannot be `immediate` for a static parameter (RDS API Reference, `ModifyDBParameterGroup`).
fn apply_method(name: &str, parameter: &Value) -> Result<Value, AwsError> {
    let method = parameter
        .get("ApplyMethod")
        .and_then(Value::as_str)
        .unwrap_or("pending-reboot");
    let is_static = settings()
        .iter()
        .any(|setting| setting.name == name && !setting.is_dynamic);
    if is_static && method == "immediate" {
        let message = format!("cannot use immediate apply method for static parameter {name}");
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    Ok(method.into())
}

async fn change(
    cx: &Context,
    call: &Call,
    apply: impl Fn(&mut Map<String, Value>, &mut Map<String, Value>, &str, &Value) -> Result<(), AwsError> + Send + Sync,
) -> Result<Value, AwsError> {
    let group = group(cx, call)?;
    let parameters = call.list("Parameters");
    let update = cx.update_resource(ParameterGroup::TYPE, &group.id, |properties| {
        let mut take = |property: &str| match properties.shift_remove(property) {
            Some(Value::Object(found)) => found,
            _ => Map::new(),
        };
        let (mut values, mut methods) = (take("Parameters"), take(METHODS));
        for parameter in &parameters {
            let name = parameter["ParameterName"].as_str().unwrap_or_default();
            apply(&mut values, &mut methods, name, parameter)?;
        }
        properties.insert("Parameters".into(), values.into());
        properties.insert(METHODS.into(), methods.into());
        Ok(())
    });
    update.await?;
    Ok(json!({"DBParameterGroupName": group.id}))
}
