//! The check of existing secrets: ECS reads them when it starts a task, and a task without one stops with
//! `ResourceInitializationError` (Amazon ECS Developer Guide: "Troubleshooting Amazon ECS `ResourceInitializationError` errors").

use aws::signed_request::DESCRIBE_SECRET;
use aws::{Result, Session, ssm};
use platform::manifest::{Manifest, SecretSource};
use serde_json::json;

use super::problem::SecretProblem;
use super::{PreflightFinding, fatal};

/// Finds the existing secrets that a service names and that cannot be read; their values are not requested.
///
/// # Errors
/// A request fails.
pub async fn check(aws: &Session, manifest: &Manifest) -> Result<Vec<PreflightFinding>> {
    let mut findings = Vec::new();
    for service in &manifest.services {
        for secret in &service.existing_secrets {
            let (service, variable) = (service.name.clone(), secret.variable.clone());
            let problem = match &secret.source {
                SecretSource::Parameter { name } => (!ssm::exists(aws, name).await?).then(|| {
                    let (name, region) = (name.clone(), aws.region().to_owned());
                    SecretProblem::MissingParameter {
                        service,
                        variable,
                        name,
                        region,
                    }
                }),
                // The client is one of the deployment's region.
                SecretSource::SecretsManager { arn, .. } if arn.split(':').nth(3) != Some(aws.region()) => None,
                SecretSource::SecretsManager { arn, .. } => {
                    let arn = arn.clone();
                    match aws.signed.call(DESCRIBE_SECRET, &json!({ "SecretId": arn })).await {
                        Ok(found) => {
                            found
                                .get("DeletedDate")
                                .map(|_| SecretProblem::Deleted { service, variable, arn })
                        }
                        Err(error) if error.is_not_found() => Some(SecretProblem::Missing { service, variable, arn }),
                        Err(error) => return Err(error),
                    }
                }
            };
            findings.extend(problem.map(fatal));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use aws::testing::FakeAws;
    use platform::manifest::ExistingSecret;

    use super::super::Problem;
    use super::*;
    use crate::command::testing;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:stripe-AbCdEf";

    fn manifest(source: SecretSource) -> Manifest {
        let mut manifest = testing::manifest("prod");
        let service = manifest.services.first_mut().expect("a service");
        service.existing_secrets.push(ExistingSecret {
            variable: "TOKEN".to_owned(),
            source,
            kms_key: None,
        });
        manifest
    }

    async fn found(source: SecretSource, status: u16, response: serde_json::Value) -> Vec<Problem> {
        let endpoint = FakeAws::start(move |call| {
            let asked = matches!(call.operation.as_str(), "DescribeSecret" | "DescribeParameters");
            assert!(asked, "no value is read: {}", call.operation);
            Some((status, response.to_string()))
        })
        .await;
        let findings = check(&endpoint.session().await, &manifest(source))
            .await
            .expect("an answer");
        findings.into_iter().map(|finding| finding.problem).collect()
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_is_found_before_the_deployment() {
        let secret = || SecretSource::SecretsManager {
            arn: ARN.to_owned(),
            json_key: None,
        };
        assert_eq!(found(secret(), 200, json!({ "ARN": ARN })).await, []);
        let deleted = found(secret(), 200, json!({ "ARN": ARN, "DeletedDate": 1.7e9 })).await;
        assert!(matches!(deleted[..], [Problem::Secret(SecretProblem::Deleted { .. })]));
        let missing = json!({ "__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret." });
        let missing = found(secret(), 400, missing).await;
        assert!(matches!(missing[..], [Problem::Secret(SecretProblem::Missing { .. })]));
    }

    #[tokio::test]
    async fn a_parameter_that_does_not_exist_is_found_without_reading_one() {
        let parameter = || SecretSource::Parameter {
            name: "/team/token".to_owned(),
        };
        let one = json!({ "Parameters": [{ "Name": "/team/token", "Type": "SecureString" }] });
        assert_eq!(found(parameter(), 200, one).await, []);
        let none = found(parameter(), 200, json!({ "Parameters": [] })).await;
        assert!(matches!(
            none[..],
            [Problem::Secret(SecretProblem::MissingParameter { .. })]
        ));
    }
}
