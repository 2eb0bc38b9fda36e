//! Permissions of a service beyond its links, and secrets that exist already.

use super::file;
use super::problem::Problem;

/// A statement of a service's task role: AWS actions that its code calls, on these resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// `service:Name`, as IAM spells them.
    pub actions: Vec<String>,
    /// ARNs, in which `${AWS::Partition}`, `${AWS::Region}` and `${AWS::AccountId}` are replaced, or `*`.
    pub resources: Vec<String>,
}

/// Pseudo parameters of CloudFormation that an ARN may reference.
const PSEUDO_PARAMETERS: [&str; 3] = ["AWS::Partition", "AWS::Region", "AWS::AccountId"];

impl Permission {
    /// Validates what is written.
    ///
    /// # Errors
    /// An action is not an IAM action or is one of all, or a resource is not an ARN.
    pub fn parse(written: &file::Permission) -> Result<Self, Problem> {
        if written.actions.is_empty() || written.resources.is_empty() {
            return Err(Problem::EmptyPermission);
        }
        if let Some(wrong) = written.actions.iter().find(|action| !is_action(action)) {
            return Err(Problem::Action(wrong.clone()));
        }
        if let Some(wrong) = written.resources.iter().find(|arn| !is_resource(arn)) {
            return Err(Problem::Resource(wrong.clone()));
        }
        Ok(Self {
            actions: written.actions.clone(),
            resources: written.resources.clone(),
        })
    }
}

/// Returns true for `service:Name`, and for `service:Get*`; `*` and `service:*` are every action (IAM User Guide: "IAM JSON policy
/// elements: Action").
fn is_action(text: &str) -> bool {
    let Some((service, name)) = text.split_once(':') else {
        return false;
    };
    let is_service = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !service.is_empty()
        && service.chars().all(is_service)
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.trim_end_matches('*').chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_resource(text: &str) -> bool {
    text == "*" || (is_arn(text) && only_pseudo_parameters(text))
}

/// Returns true for `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn is_arn(text: &str) -> bool {
    // The colons inside references are no separators.
    let plain = text.replace("${AWS::", "${AWS..");
    let parts: Vec<&str> = plain.splitn(6, ':').collect();
    matches!(parts[..], ["arn", partition, service, _, _, resource]
        if !partition.is_empty() && !service.is_empty() && !resource.is_empty())
        && !text.contains(char::is_whitespace)
}

fn only_pseudo_parameters(text: &str) -> bool {
    text.split("${").skip(1).all(|rest| {
        let reference = rest.split_once('}').map(|(name, _)| name);
        reference.is_some_and(|name| PSEUDO_PARAMETERS.contains(&name))
    })
}

/// A secret that exists already, as a variable of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingSecret {
    /// The variable.
    pub variable: String,
    /// The store.
    pub source: SecretSource,
    /// The KMS key that encrypts it, if it is a customer managed key: ECS decrypts with the service's execution role.
    pub kms_key: Option<String>,
}

/// The store of an existing secret (Amazon ECS Developer Guide: "Pass sensitive data to an Amazon ECS container").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A secret of Secrets Manager.
    SecretsManager {
        /// The full ARN, with the random suffix.
        arn: String,
        /// A key of the secret's JSON object; the complete value without one.
        json_key: Option<String>,
    },
    /// A parameter of Systems Manager in the account and region of the deployment.
    Parameter {
        /// Its name.
        name: String,
    },
}

impl ExistingSecret {
    /// Validates what is written.
    ///
    /// # Errors
    /// The secret has no source or two, or its ARN or name is not one.
    pub fn parse(written: &file::ExistingSecret) -> Result<Self, Problem> {
        let source = match (&written.arn, &written.parameter) {
            (Some(arn), None) if is_secret(arn) => SecretSource::SecretsManager {
                arn: arn.clone(),
                json_key: written.json_key.clone(),
            },
            (Some(arn), None) => return Err(Problem::SecretArn(arn.clone())),
            (None, Some(name)) if written.json_key.is_none() && is_parameter(name) => {
                SecretSource::Parameter { name: name.clone() }
            }
            (None, Some(name)) if written.json_key.is_none() => return Err(Problem::ParameterName(name.clone())),
            _ => return Err(Problem::SecretSource(written.name.clone())),
        };
        if let Some(key) = written.kms_key.as_ref().filter(|key| !is_key(key)) {
            return Err(Problem::KeyArn(key.clone()));
        }
        Ok(Self {
            variable: written.name.clone(),
            source,
            kms_key: written.kms_key.clone(),
        })
    }
}

/// Returns true for `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX`; the suffix has six characters (AWS Secrets
/// Manager User Guide: "What's in a Secrets Manager secret?").
fn is_secret(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "secretsmanager", region, account, "secret", name] = parts[..] else {
        return false;
    };
    let suffix = name.rsplit_once('-').map(|(_, suffix)| suffix);
    super::region::is_region(region)
        && account.len() == 12
        && suffix.is_some_and(|suffix| suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Returns true for a name of Parameter Store (Systems Manager API Reference: `PutParameter`).
fn is_parameter(name: &str) -> bool {
    let accepted = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    (1..=1011).contains(&name.len())
        && name.chars().all(accepted)
        && !name.ends_with('/')
        && (name.starts_with('/') || !name.contains('/'))
}

fn is_key(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "kms", _, _, resource] if resource.starts_with("key/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_of_one_service_and_not_all_of_it() {
        for right in [
            "s3:GetObject",
            "sqs:SendMessage",
            "s3:Get*",
            "bedrock-runtime:InvokeModel",
        ] {
            assert!(is_action(right), "{right}");
        }
        for wrong in [
            "*",
            "s3:*",
            "s3",
            "S3:GetObject",
            "s3:Get Object",
            "s3:*Object",
            "s3:Get*Object",
            ":Get",
        ] {
            assert!(!is_action(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_resource_is_an_arn_with_pseudo_parameters_or_every_one() {
        for right in [
            "arn:aws:s3:::reports/*",
            "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:mails",
            "*",
        ] {
            assert!(is_resource(right), "{right}");
        }
        for wrong in [
            "reports",
            "arn:aws:s3",
            "arn:aws:s3:::${Bucket}",
            "arn:aws:s3:::${AWS::Region",
        ] {
            assert!(!is_resource(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_secret_has_one_source() {
        let written = |arn: Option<&str>, parameter: Option<&str>| file::ExistingSecret {
            name: "TOKEN".into(),
            arn: arn.map(str::to_owned),
            parameter: parameter.map(str::to_owned),
            json_key: None,
            kms_key: None,
        };
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:team/token-a1B2c3";
        let parsed = ExistingSecret::parse(&written(Some(arn), None)).expect("an ARN");
        let source = SecretSource::SecretsManager {
            arn: arn.into(),
            json_key: None,
        };
        assert_eq!(parsed.source, source);
        let parsed = ExistingSecret::parse(&written(None, Some("/team/token"))).expect("a name");
        let name = "/team/token".into();
        assert_eq!(parsed.source, SecretSource::Parameter { name });
        let rejected = |arn, parameter| ExistingSecret::parse(&written(arn, parameter)).expect_err("rejected");
        assert!(matches!(rejected(None, None), Problem::SecretSource(_)));
        assert!(matches!(rejected(Some(arn), Some("/a")), Problem::SecretSource(_)));
        assert!(matches!(rejected(Some("token"), None), Problem::SecretArn(_)));
        assert!(matches!(
            rejected(
                Some("arn:aws:secretsmanager:eu-central-1:111122223333:secret:token"),
                None
            ),
            Problem::SecretArn(_)
        ));
        assert!(matches!(rejected(None, Some("team/token")), Problem::ParameterName(_)));
    }
}
