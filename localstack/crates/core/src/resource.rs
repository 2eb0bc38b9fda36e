//! The trait of a CloudFormation resource type.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::Failure;

/// The part of a resource provider schema that decides how a template is validated and a change is applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schema {
    /// Every top-level property that a template may set.
    pub properties: &'static [&'static str],
    /// Properties that a template must set.
    pub required: &'static [&'static str],
    /// Properties whose change replaces the resource (`createOnlyProperties`); paths such as `A/B` reach into objects.
    pub create_only: &'static [&'static str],
    /// Attributes that `Fn::GetAtt` may name.
    pub attributes: &'static [&'static str],
    /// Properties that `read` does not return (such as passwords); drift detection leaves them out.
    pub write_only: &'static [&'static str],
}

/// The desired state of one resource of a stack; intrinsics and dynamic references are resolved.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Name of the stack, the first part of generated names.
    pub stack_name: String,
    /// ARN of the stack.
    pub stack_id: String,
    /// The key of the resource in the template.
    pub logical_id: String,
    /// A JSON object; empty if the template has no `Properties`.
    pub properties: Value,
    /// The stack's tags. Types with tags merge them under the resource's own.
    pub tags: Vec<(String, String)>,
    /// Receives the physical id of a new resource before anything of it exists, or in the same transaction, so that a stack whose
    /// operation is interrupted knows what to delete.
    pub initiated: Initiated,
    /// Cancelled when the stack abandons this operation: return soon, and delete what was created.
    pub cancel: CancellationToken,
}

/// Reports to the stack that a resource's creation has started: the event `Resource creation Initiated`.
#[derive(Clone, Default)]
pub struct Initiated(Option<Arc<Listener>>);

type Listener = dyn Fn(&str) -> anyhow::Result<()> + Send + Sync;

impl fmt::Debug for Initiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Initiated").field(&self.0.is_some()).finish()
    }
}

impl Initiated {
    /// Calls `listener` with the physical id; it stores the id before it returns.
    pub fn new(listener: impl Fn(&str) -> anyhow::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Reports the physical id, to be called once; has no effect without a listener.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn report(&self, physical_id: &str) -> anyhow::Result<()> {
        self.0.as_ref().map_or(Ok(()), |listener| listener(physical_id))
    }
}

impl Desired {
    /// Creates the desired state of a resource that no stack declares.
    pub fn outside_stacks(properties: Value) -> Self {
        Self {
            stack_name: String::new(),
            stack_id: String::new(),
            logical_id: String::new(),
            properties,
            tags: Vec::new(),
            initiated: Initiated::default(),
            cancel: CancellationToken::new(),
        }
    }

    /// Generates a physical name in CloudFormation's form, `STACK-LOGICALID-RANDOM`, of at most `max` characters.
    pub fn generated_name(&self, max: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let suffix: String = (0..12)
            .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
            .collect();
        let stem = format!("{}-{}", self.stack_name, self.logical_id);
        let stem: String = stem.chars().take(max.saturating_sub(suffix.len() + 1)).collect();
        format!("{}-{suffix}", stem.trim_end_matches('-'))
    }
}

/// A resource that exists: its physical id (the value of `Ref`) and its attributes (the values of `Fn::GetAtt`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    /// The value of `Ref`.
    pub physical_id: String,
    /// Attribute names may contain dots, such as `Endpoint.Address`.
    pub attributes: Map<String, Value>,
}

impl Resource {
    /// Creates a resource without attributes.
    pub fn new(physical_id: impl Into<String>) -> Self {
        Self {
            physical_id: physical_id.into(),
            attributes: Map::new(),
        }
    }

    /// Adds an attribute for `Fn::GetAtt`.
    #[must_use]
    pub fn with(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into());
        self
    }
}

/// One CloudFormation resource type. Operations return when the resource is stable, or with the reason why it is not.
#[async_trait]
pub trait ResourceType: Send + Sync {
    /// Returns the type's name, such as `AWS::Logs::LogGroup`.
    fn name(&self) -> &'static str;

    /// Returns the properties and attributes of the type.
    fn schema(&self) -> Schema;

    /// Creates the resource and waits until it is stable. Reports its physical id with `desired.initiated` before anything of it
    /// exists; `delete` with that id must then succeed at any moment.
    ///
    /// # Errors
    /// The reason that the stack event shows; nothing of the resource remains.
    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure>;

    /// Updates the resource in place; called only for properties outside `create_only`. Must work in both directions: a
    /// rollback is an update with the old properties.
    ///
    /// # Errors
    /// The reason that the stack event shows.
    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        previous: &Value,
        desired: &Desired,
    ) -> Result<Resource, Failure>;

    /// Deletes the resource and waits until it no longer exists. Succeeds if it does not exist. `properties` are the last
    /// known ones.
    ///
    /// # Errors
    /// The reason that the stack event shows.
    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Value) -> Result<(), Failure>;

    /// Returns true if the type supports `DeletionPolicy: Snapshot`, which is then its default here (AWS CloudFormation:
    /// `DeletionPolicy` attribute, for `AWS::RDS::DBInstance`).
    fn supports_snapshots(&self) -> bool {
        false
    }

    /// Stores a snapshot with this name, then deletes the resource as `delete` does; called only if `supports_snapshots`.
    ///
    /// # Errors
    /// The reason that the stack event shows.
    async fn delete_with_snapshot(
        &self,
        _cx: &Context,
        _physical_id: &str,
        _properties: &Value,
        _name: &str,
    ) -> Result<(), Failure> {
        Err(Failure::new(format!("{} has no snapshots", self.name())))
    }

    /// Returns the current properties in the form of a template, for drift detection; `None` if the resource no longer
    /// exists.
    ///
    /// # Errors
    /// When this type cannot be read; its drift status is then `NOT_CHECKED`.
    async fn read(&self, _cx: &Context, _physical_id: &str) -> Result<Option<Value>, Failure> {
        let reason = format!("{} does not support drift detection here", self.name());
        Err(Failure::new(reason))
    }
}
