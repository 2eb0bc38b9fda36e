//! A secret, its versions and their values.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::encryption;
use crate::records::now;
use crate::{AwsError, Context};

const SECRETS: &str = "secretsmanager.secrets";
pub const CURRENT: &str = "AWSCURRENT";
pub const PREVIOUS: &str = "AWSPREVIOUS";

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Secret {
    pub arn: String,
    pub name: String,
    pub description: Option<String>,
    pub kms_key: Option<String>,
    pub tags: IndexMap<String, String>,
    /// Keys of tags that came from the stack.
    pub inherited: Vec<String>,
    /// Newest last.
    pub versions: Vec<Version>,
    /// Milliseconds since 1970, as all times here.
    pub created: i64,
    pub changed: i64,
    /// The time at which it was marked as deleted; `RestoreSecret` clears it.
    pub deleted: Option<i64>,
    /// The day of the last read of a value, in milliseconds since 1970.
    #[serde(default)]
    pub accessed: Option<i64>,
    /// The resource policy as JSON text.
    #[serde(default)]
    pub policy: Option<String>,
    /// The `GenerateSecretString` from which the value with the label AWSPREVIOUS was generated.
    pub replaced_generator: Option<serde_json::Value>,
}

/// Characters of the suffix of ARNs.
const SUFFIX_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A value and its stages (staging labels).
#[derive(Clone, Serialize, Deserialize)]
pub struct Version {
    pub id: String,
    pub stages: Vec<String>,
    pub created: i64,
    /// The encrypted value; the plain text is not stored.
    sealed: String,
    binary: bool,
}

/// The value of a secret. `Debug` does not print it.
pub enum SecretValue {
    Text(String),
    /// Base64, as the API carries it.
    Binary(String),
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

impl Secret {
    /// Creates a secret without a value. Its ARN ends with six random characters, as on AWS.
    pub fn new(cx: &Context, name: &str) -> Result<Self, AwsError> {
        if name.is_empty()
            || name.len() > 512
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c))
        {
            let reason = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
            return Err(AwsError::new("ValidationException", reason));
        }
        if let Some(other) = all(cx)?.into_iter().find(|secret| secret.name == name) {
            return Err(match other.deleted {
                None => AwsError::new(
                    "ResourceExistsException",
                    format!("The operation failed because the secret {name} already exists."),
                ),
                Some(_) => AwsError::new(
                    "InvalidRequestException",
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                ),
            });
        }
        let suffix: String = (0..6)
            .map(|_| SUFFIX_ALPHABET[rand::random_range(0..SUFFIX_ALPHABET.len())] as char)
            .collect();
        let arn = cx.arn("secretsmanager", &format!("secret:{name}-{suffix}"));
        Ok(Self {
            arn,
            name: name.to_owned(),
            created: now(),
            changed: now(),
            ..Self::default()
        })
    }

    /// Adds a version and moves the stages to it; AWSPREVIOUS moves to the version that had AWSCURRENT. The same ID
    /// with the same value is a retry and changes nothing.
    ///
    /// # Errors
    /// Returns `ResourceExistsException` if the ID has another value.
    pub fn put(
        &mut self,
        cx: &Context,
        id: Option<String>,
        value: &SecretValue,
        stages: &[String],
    ) -> Result<String, AwsError> {
        let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
        let (text, binary) = match value {
            SecretValue::Text(text) => (text, false),
            SecretValue::Binary(text) => (text, true),
        };
        if text.len() > 65_536 * 4 / 3 {
            return Err(AwsError::new(
                "InvalidParameterException",
                "A secret's value may have at most 65536 bytes.",
            ));
        }
        if let Some(known) = self.versions.iter().find(|version| version.id == id) {
            return match self.decrypt(cx, known)? {
                SecretValue::Text(other) | SecretValue::Binary(other) if other == *text => Ok(id),
                _ => Err(AwsError::new(
                    "ResourceExistsException",
                    format!(
                        "You can't use ClientRequestToken {id} because that value is already in use for a version of secret {}.",
                        self.arn
                    ),
                )),
            };
        }
        let sealed = encryption::seal(cx, &self.arn, text.as_bytes())?;
        let mut stages = if stages.is_empty() {
            vec![CURRENT.to_owned()]
        } else {
            stages.to_vec()
        };
        // The first version is always the current one.
        if self.versions.is_empty() && !stages.iter().any(|stage| stage == CURRENT) {
            stages.push(CURRENT.to_owned());
        }
        if stages.iter().any(|stage| stage == CURRENT) {
            self.versions
                .iter_mut()
                .for_each(|version| version.stages.retain(|stage| stage != PREVIOUS));
            if let Some(current) = self
                .versions
                .iter_mut()
                .find(|v| v.stages.iter().any(|stage| stage == CURRENT))
            {
                current.stages.push(PREVIOUS.to_owned());
            }
        }
        self.versions
            .iter_mut()
            .for_each(|version| version.stages.retain(|stage| !stages.contains(stage)));
        self.versions.push(Version {
            id: id.clone(),
            stages,
            created: now(),
            sealed,
            binary,
        });
        // Versions without a stage are deprecated; AWS deletes them too.
        self.versions.retain(|version| !version.stages.is_empty());
        self.changed = now();
        Ok(id)
    }

    /// Moves a stage between versions; AWSPREVIOUS follows AWSCURRENT.
    ///
    /// # Errors
    /// Returns `InvalidParameterException` if the version to remove it from does not have it, or another has it.
    pub fn move_stage(&mut self, stage: &str, from: Option<&str>, to: Option<&str>) -> Result<(), AwsError> {
        let invalid = |message: String| AwsError::new("InvalidParameterException", message);
        for id in from.into_iter().chain(to) {
            self.version(Some(id), None)?;
        }
        let holder = self.versions.iter().find(|v| v.stages.iter().any(|s| s == stage));
        let holder = holder.map(|version| version.id.clone());
        if from != holder.as_deref() && holder.as_deref() != to {
            let holder = holder.as_deref().unwrap_or("none");
            return Err(invalid(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
            )));
        }
        if stage == CURRENT && to.is_none() {
            return Err(invalid(format!(
                "You can't remove the staging label {CURRENT} without moving it."
            )));
        }
        if holder.as_deref() == to {
            return Ok(());
        }
        for version in &mut self.versions {
            let moves_current = stage == CURRENT;
            version
                .stages
                .retain(|s| s != stage && !(moves_current && s == PREVIOUS));
            if to == Some(&version.id) {
                version.stages.push(stage.to_owned());
            } else if moves_current && holder.as_ref() == Some(&version.id) {
                version.stages.push(PREVIOUS.to_owned());
            }
        }
        self.versions.retain(|version| !version.stages.is_empty());
        self.changed = now();
        Ok(())
    }

    pub fn version(&self, id: Option<&str>, stage: Option<&str>) -> Result<&Version, AwsError> {
        let stage = stage.or(if id.is_none() { Some(CURRENT) } else { None });
        let matches = |version: &&Version| {
            id.is_none_or(|id| version.id == id) && stage.is_none_or(|stage| version.stages.iter().any(|s| s == stage))
        };
        self.versions.iter().find(matches).ok_or_else(|| {
            if let (Some(id), Some(_)) = (id, stage)
                && self.versions.iter().any(|version| version.id == id)
            {
                return AwsError::new(
                    "InvalidRequestException",
                    "You provided a VersionStage that is not associated to the provided VersionId.",
                );
            }
            let what = match (id, stage) {
                (Some(id), _) => format!("VersionId: {id}"),
                (None, stage) => format!("staging label: {}", stage.unwrap_or(CURRENT)),
            };
            AwsError::new(
                "ResourceNotFoundException",
                format!("Secrets Manager can't find the specified secret value for {what}"),
            )
        })
    }

    pub fn decrypt(&self, cx: &Context, version: &Version) -> Result<SecretValue, AwsError> {
        let text = String::from_utf8(encryption::open(cx, &self.arn, &version.sealed)?).map_err(anyhow::Error::from)?;
        Ok(if version.binary {
            SecretValue::Binary(text)
        } else {
            SecretValue::Text(text)
        })
    }

    /// Returns the current value.
    ///
    /// # Errors
    /// Returns `InvalidRequestException` if the value is binary.
    pub fn current_text(&self, cx: &Context) -> Result<String, AwsError> {
        match self.decrypt(cx, self.version(None, None)?)? {
            SecretValue::Text(text) => Ok(text),
            SecretValue::Binary(_) => Err(AwsError::new(
                "InvalidRequestException",
                format!("The value of {} is binary.", self.name),
            )),
        }
    }

    pub fn store(&self, cx: &Context) -> Result<(), AwsError> {
        Ok(cx.store().put(SECRETS, &self.arn, self)?)
    }

    pub fn delete(&self, cx: &Context) -> Result<(), AwsError> {
        cx.store().delete(SECRETS, &self.arn)?;
        Ok(())
    }
}

pub fn all(cx: &Context) -> Result<Vec<Secret>, AwsError> {
    Ok(cx
        .store()
        .list(SECRETS)?
        .into_iter()
        .map(|(_, secret)| secret)
        .collect())
}

/// Finds a secret by its ARN, its name, or its ARN without the six random characters, also if it is marked as deleted.
pub fn find(cx: &Context, id: &str) -> Result<Option<Secret>, AwsError> {
    if let Some(found) = cx.store().get(SECRETS, id)? {
        return Ok(Some(found));
    }
    let partial = |secret: &Secret| secret.arn.rsplit_once('-').is_some_and(|(stem, _)| stem == id);
    Ok(all(cx)?.into_iter().find(|secret| secret.name == id || partial(secret)))
}

/// Returns a secret, also if it is marked as deleted, or AWS's error if it does not exist.
pub fn get(cx: &Context, id: &str) -> Result<Secret, AwsError> {
    let not_found = || {
        AwsError::new(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
        )
    };
    find(cx, id)?.ok_or_else(not_found)
}

/// Returns a secret that is not marked as deleted.
pub fn get_active(cx: &Context, id: &str) -> Result<Secret, AwsError> {
    let secret = get(cx, id)?;
    match secret.deleted {
        None => Ok(secret),
        Some(_) => Err(AwsError::new(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )),
    }
}
