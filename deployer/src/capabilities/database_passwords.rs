//! Generated passwords of databases, for endpoints whose RDS manages none.

use serde_json::{Map, Value, json};

use platform::stacks::Plan;

/// Replaces the password that RDS manages (`ManageMasterUserPassword`) by a generated secret in the same format, `username` and
/// `password`, for every database. Returns whether there was any.
pub fn generate(plan: &mut Plan) -> bool {
    let mut any = false;
    for stack in &mut plan.stacks {
        let Some(resources) = stack.template.get_mut("Resources").and_then(Value::as_object_mut) else {
            continue;
        };
        let managed: Vec<String> = resources
            .iter()
            .filter(|(_, one)| is_managed(one))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &managed {
            let secret = format!("{id}Credentials");
            if let Some(generated) = generated_secret(resources, id, &secret) {
                resources.insert(secret, generated);
            }
        }
        for id in &managed {
            redirect(&mut stack.template, id, &format!("{id}Credentials"));
        }
        any |= !managed.is_empty();
    }
    any
}

fn is_managed(resource: &Value) -> bool {
    resource["Type"] == "AWS::RDS::DBInstance" && resource["Properties"]["ManageMasterUserPassword"] == true
}

/// Changes the instance, and returns the secret that it refers to.
fn generated_secret(resources: &mut Map<String, Value>, id: &str, secret: &str) -> Option<Value> {
    let properties = resources.get_mut(id)?.get_mut("Properties")?.as_object_mut()?;
    properties.remove("ManageMasterUserPassword");
    properties.remove("MasterUserSecret");
    let password = format!("{{{{resolve:secretsmanager:${{{secret}}}:SecretString:password}}}}");
    properties.insert("MasterUserPassword".into(), json!({ "Fn::Sub": password }));
    let username = json!({ "username": properties.get("MasterUsername") }).to_string();
    Some(json!({
        "Type": "AWS::SecretsManager::Secret",
        "Properties": { "GenerateSecretString": {
            "SecretStringTemplate": username, "GenerateStringKey": "password",
            "PasswordLength": 48, "ExcludePunctuation": true,
        } },
    }))
}

/// Replaces references to the instance's managed secret by the generated one's ARN.
fn redirect(value: &mut Value, id: &str, secret: &str) {
    if *value == json!({ "Fn::GetAtt": [id, "MasterUserSecret.SecretArn"] }) {
        *value = json!({ "Ref": secret });
        return;
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(|inner| redirect(inner, id, secret)),
        Value::Array(list) => list.iter_mut().for_each(|inner| redirect(inner, id, secret)),
        _ => {}
    }
}
