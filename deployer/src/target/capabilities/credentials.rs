//! Databases whose owner's password is a secret of their own stack, for endpoints where RDS keeps none.

use serde_json::{Map, Value, json};

use crate::stacks::Plan;

/// Gives every database that leaves its password to RDS (`ManageMasterUserPassword`) a generated secret instead, of the
/// same shape: `username` and `password`. True when there was any.
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
            if let Some(made) = own_password(resources, id, &secret) {
                resources.insert(secret, made);
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

/// Changes the instance, and gives the secret that it needs now.
fn own_password(resources: &mut Map<String, Value>, id: &str, secret: &str) -> Option<Value> {
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

/// Puts the secret's ARN where the instance's own secret was named.
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
