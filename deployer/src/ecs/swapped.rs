//! What `up --code` has changed behind CloudFormation's back, kept in an SSM parameter for the next full `up`.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::ParameterType;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::target::Aws;

/// The services that run another task definition than their stack's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// By service name.
    pub services: BTreeMap<String, Entry>,
}

/// One swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub image: String,
    /// ARN of the task definition that was registered.
    pub task_definition: String,
    /// When, as RFC 3339.
    pub at: String,
}

fn parameter(project: &str, environment: &str) -> String {
    format!("/deployer/{project}-{environment}/hotswap")
}

impl Swapped {
    /// What is noted of an environment; nothing where no parameter is.
    pub async fn load(aws: &Aws, project: &str, environment: &str) -> Result<Self> {
        let name = parameter(project, environment);
        match aws.ssm.get_parameter().name(&name).send().await.map_err(Error::from) {
            Ok(found) => {
                let text = found
                    .parameter()
                    .and_then(|parameter| parameter.value())
                    .unwrap_or_default();
                serde_json::from_str(text).map_err(|error| {
                    Error::Plan(format!(
                        "the SSM parameter {name} is not what deployer wrote: {error}; delete it"
                    ))
                })
            }
            Err(error) if error.is_missing() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it down, or removes the parameter when nothing is left.
    pub async fn store(&self, aws: &Aws, project: &str, environment: &str) -> Result<()> {
        let name = parameter(project, environment);
        if self.services.is_empty() {
            return match aws.ssm.delete_parameter().name(&name).send().await.map_err(Error::from) {
                Err(error) if !error.is_missing() => Err(error),
                _ => Ok(()),
            };
        }
        let value = serde_json::to_string(self).map_err(anyhow::Error::from)?;
        aws.ssm
            .put_parameter()
            .name(&name)
            .value(value)
            .r#type(ParameterType::String)
            .overwrite(true)
            .send()
            .await?;
        Ok(())
    }
}
