//! What CloudFormation needs of a resource type.

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::{Context, Failure};

/// The part of a resource provider schema that decides how a template is checked and a change is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schema {
    /// Every top-level property that a template may give.
    pub properties: &'static [&'static str],
    pub required: &'static [&'static str],
    /// A change of one of these replaces the resource (`createOnlyProperties`); paths such as `A/B` reach into objects.
    pub create_only: &'static [&'static str],
    /// What `Fn::GetAtt` may name.
    pub attributes: &'static [&'static str],
    /// Properties that `read` cannot give back (passwords and the like): left out of drift.
    pub write_only: &'static [&'static str],
}

/// What a stack wants of one resource; intrinsics and dynamic references are resolved.
#[derive(Debug, Clone)]
pub struct Desired {
    pub stack_name: String,
    pub stack_id: String,
    pub logical_id: String,
    pub properties: Value,
    /// The stack's tags, to be merged under the resource's own where the type has tags.
    pub tags: Vec<(String, String)>,
    /// Where a type whose creation takes long tells the physical id as soon as there is one.
    pub initiated: Initiated,
    /// Cancelled when the stack gives up on this operation: end soon, and clean up what was begun.
    pub cancel: CancellationToken,
}

/// Tells the stack that a resource's creation has begun: `Resource creation Initiated`, with its physical id.
#[derive(Debug, Clone, Default)]
pub struct Initiated(Option<UnboundedSender<String>>);

impl Initiated {
    /// Sends the physical id to `listener`.
    pub fn new(listener: UnboundedSender<String>) -> Self {
        Self(Some(listener))
    }

    /// Says it once; without a stack that listens it does nothing.
    pub fn tell(&self, physical_id: &str) {
        if let Some(listener) = &self.0 {
            let _ = listener.send(physical_id.to_owned());
        }
    }
}

impl Desired {
    /// A physical name as CloudFormation makes them, `STACK-LOGICAL-RANDOM`, of at most `limit` characters.
    pub fn generated_name(&self, limit: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let suffix: String = (0..12)
            .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
            .collect();
        let stem = format!("{}-{}", self.stack_name, self.logical_id);
        let stem: String = stem.chars().take(limit.saturating_sub(suffix.len() + 1)).collect();
        format!("{}-{suffix}", stem.trim_end_matches('-'))
    }
}

/// A resource that exists: its physical id (what `Ref` gives) and its attributes (what `Fn::GetAtt` gives).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    pub physical_id: String,
    /// Attribute names may hold dots, such as `Endpoint.Address`.
    pub attributes: Map<String, Value>,
}

impl Resource {
    pub fn new(physical_id: impl Into<String>) -> Self {
        Self {
            physical_id: physical_id.into(),
            attributes: Map::new(),
        }
    }

    pub fn with(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into());
        self
    }
}

/// One CloudFormation resource type. Operations return when the resource is stable, or with the reason why it is not.
#[async_trait]
pub trait ResourceType: Send + Sync {
    /// Such as `AWS::Logs::LogGroup`.
    fn name(&self) -> &'static str;

    fn schema(&self) -> Schema;

    /// Makes the resource and waits until it is stable. A failed create leaves nothing behind.
    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure>;

    /// Changes it in place; called only for properties outside `create_only`. Must be right both ways: a rollback
    /// is an update with the old properties.
    async fn update(
        &self,
        cx: &Context,
        physical_id: &str,
        previous: &Value,
        desired: &Desired,
    ) -> Result<Resource, Failure>;

    /// Removes it, and waits until it is gone. Removing what is not there succeeds. `properties` are the last known.
    async fn delete(&self, cx: &Context, physical_id: &str, properties: &Value) -> Result<(), Failure>;

    /// Whether a last snapshot of it can be kept: `DeletionPolicy: Snapshot`, which is the default of such types here (AWS
    /// CloudFormation: DeletionPolicy attribute, of `AWS::RDS::DBInstance`).
    fn keeps_snapshots(&self) -> bool {
        false
    }

    /// Keeps a snapshot under this name, then removes the resource as `delete` does; asked only of types that
    /// `keeps_snapshots`.
    async fn delete_but_snapshot(
        &self,
        _cx: &Context,
        _physical_id: &str,
        _properties: &Value,
        _name: &str,
    ) -> Result<(), Failure> {
        Err(Failure::new(format!("{} has no snapshots", self.name())))
    }

    /// The live properties in the template's own form, for drift: `Ok(None)` when it is gone, `Err` when this type
    /// cannot be read (drift then says NOT_CHECKED).
    async fn read(&self, _cx: &Context, _physical_id: &str) -> Result<Option<Value>, Failure> {
        Err(Failure::new(format!(
            "{} does not support drift detection here",
            self.name()
        )))
    }
}
