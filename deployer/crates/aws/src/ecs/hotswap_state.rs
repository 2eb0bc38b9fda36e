//! The services that `up --code` has changed without CloudFormation, in an SSM parameter for the next complete `up`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use crate::session::Session;
use crate::ssm;

/// The services that run another task definition than their stack's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotswapState {
    /// By service name.
    pub services: BTreeMap<String, HotswapEntry>,
}

/// One hotswap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotswapEntry {
    /// The reference of the image that the stack deploys.
    pub image: String,
    /// ARN of the task definition that was registered.
    pub task_definition: String,
    /// Its time, as RFC 3339.
    pub at: String,
}

fn parameter(project: &str, environment: &str) -> String {
    format!("/deployer/{project}-{environment}/hotswap")
}

impl HotswapState {
    /// Reads the state of an environment; empty without a parameter.
    ///
    /// # Errors
    /// The request fails, or the parameter has another format.
    pub async fn load(aws: &Session, project: &str, environment: &str) -> Result<Self> {
        let parameter = parameter(project, environment);
        let Some(text) = ssm::get(aws, &parameter).await? else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text).map_err(|error| Error::InvalidHotswapState {
            parameter,
            reason: error.to_string(),
        })
    }

    /// Writes the state, or deletes the parameter if there are no entries.
    ///
    /// # Errors
    /// The request fails.
    pub async fn store(&self, aws: &Session, project: &str, environment: &str) -> Result<()> {
        let parameter = parameter(project, environment);
        if self.services.is_empty() {
            return Ok(ssm::delete(aws, &parameter).await?);
        }
        let value = serde_json::json!(self).to_string();
        ssm::put(aws, &parameter, &value, true).await?;
        Ok(())
    }
}
