//! What is kept of a stack, and its events.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::parameter::Given;
use endpoint_core::{AwsError, Context};

const STACKS: &str = "cloudformation.stacks";
const NAMES: &str = "cloudformation.names";

/// The type that stack events of the stack itself carry.
pub const STACK: &str = "AWS::CloudFormation::Stack";

/// A stack, deleted ones included.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stack {
    pub id: String,
    pub name: String,
    pub status: String,
    pub reason: Option<String>,
    pub created: String,
    pub updated: Option<String>,
    pub deleted: Option<String>,
    /// What the stack is, or is becoming.
    pub goal: Goal,
    /// What it was before the update that runs or failed: what a rollback restores.
    pub previous: Option<Box<Previous>>,
    pub members: IndexMap<String, Member>,
    pub outputs: Vec<Output>,
    /// Names of exports of other stacks that this one uses.
    pub imports: BTreeSet<String>,
    /// Resources that the stack no longer has and that are still to be removed.
    pub garbage: Vec<Member>,
    pub capabilities: Vec<String>,
    pub on_failure: OnFailure,
    pub protected: bool,
    pub timeout_minutes: Option<u64>,
    pub change_set: Option<String>,
    pub drift: Option<String>,
    pub drift_checked: Option<String>,
    /// The client's token of the operation, shown in its events.
    pub token: Option<String>,
}

/// What a client asked a stack to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Goal {
    pub body: String,
    pub given: Given,
    /// What `Ref` gives for each parameter.
    pub values: Map<String, Value>,
    pub tags: Vec<(String, String)>,
}

/// A stack before its update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Previous {
    pub goal: Goal,
    pub members: IndexMap<String, Member>,
    pub outputs: Vec<Output>,
    pub imports: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    #[default]
    Rollback,
    Delete,
    DoNothing,
}

/// One resource of a stack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub logical_id: String,
    pub kind: String,
    pub physical_id: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub updated: String,
    /// As last given to the type; dynamic references are kept as references.
    pub properties: Map<String, Value>,
    /// The stack's tags when it was last given.
    pub tags: Vec<(String, String)>,
    pub attributes: Map<String, Value>,
    pub metadata: Option<Value>,
    /// What must outlive it.
    pub needs: BTreeSet<String>,
    pub deletion_policy: Option<String>,
    pub update_replace_policy: Option<String>,
    /// Made by the operation that runs or failed.
    pub is_new: bool,
    pub drift: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub key: String,
    pub value: String,
    pub description: Option<String>,
    pub export: Option<String>,
}

/// One line of a stack's story.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    pub event_id: String,
    pub stack_id: String,
    pub stack_name: String,
    pub logical_resource_id: String,
    pub physical_resource_id: Option<String>,
    pub resource_type: String,
    pub timestamp: String,
    pub resource_status: String,
    pub resource_status_reason: Option<String>,
    pub client_request_token: Option<String>,
}

/// One writer at a time, and event numbers that only grow.
#[derive(Default)]
struct Ledger {
    writing: Mutex<()>,
    last: AtomicU64,
}

impl Stack {
    pub fn is_deleted(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Tells one line of the story about a resource, or about the stack when `member` is none.
    pub fn tell(&self, cx: &Context, member: Option<&Member>) -> anyhow::Result<()> {
        let ledger = cx.extension::<Ledger>();
        let nanos = u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos()).unwrap_or_default();
        let last = ledger
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(nanos.max(last + 1)));
        let number = nanos.max(last.unwrap_or_default() + 1);
        let event = Event {
            event_id: match member {
                Some(member) => format!("{}-{}", member.logical_id, uuid::Uuid::new_v4()),
                None => uuid::Uuid::new_v4().to_string(),
            },
            stack_id: self.id.clone(),
            stack_name: self.name.clone(),
            logical_resource_id: member.map_or(&self.name, |m| &m.logical_id).clone(),
            physical_resource_id: member.map_or_else(|| Some(self.id.clone()), |m| m.physical_id.clone()),
            resource_type: member.map_or(STACK, |m| &m.kind).to_owned(),
            timestamp: now(),
            resource_status: member.map_or(&self.status, |m| &m.status).clone(),
            resource_status_reason: member.map_or(&self.reason, |m| &m.reason).clone(),
            client_request_token: self.token.clone(),
        };
        cx.store().put(&events_of(&self.id), &format!("{number:020}"), &event)
    }
}

/// An instant as CloudFormation writes it, UTC with milliseconds.
pub fn now() -> String {
    let at = OffsetDateTime::now_utc();
    let at = at.replace_nanosecond(at.millisecond() as u32 * 1_000_000).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// A stack's events, oldest first.
pub fn events(cx: &Context, id: &str) -> anyhow::Result<Vec<Event>> {
    Ok(cx
        .store()
        .list(&events_of(id))?
        .into_iter()
        .map(|(_, event)| event)
        .collect())
}

/// Keeps a new stack and its name.
pub fn insert(cx: &Context, stack: &Stack) -> anyhow::Result<()> {
    cx.store().put(STACKS, &stack.id, stack)?;
    cx.store().put(NAMES, &stack.name, &stack.id)
}

/// Changes a stack; the only way to, so that no change is lost.
pub fn edit<T>(cx: &Context, id: &str, change: impl FnOnce(&mut Stack) -> T) -> anyhow::Result<T> {
    let ledger = cx.extension::<Ledger>();
    let _writing = ledger.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut stack: Stack = cx
        .store()
        .get(STACKS, id)?
        .ok_or_else(|| anyhow::anyhow!("the stack {id} is gone"))?;
    let outcome = change(&mut stack);
    cx.store().put(STACKS, id, &stack)?;
    if stack.is_deleted() && cx.store().get::<String>(NAMES, &stack.name)?.as_deref() == Some(id) {
        cx.store().delete(NAMES, &stack.name)?;
    }
    Ok(outcome)
}

/// Forgets a stack and its events, as when the last change set of one in review is deleted.
pub fn forget(cx: &Context, stack: &Stack) -> anyhow::Result<()> {
    cx.store().delete(STACKS, &stack.id)?;
    for (number, _) in cx.store().list::<Value>(&events_of(&stack.id))? {
        cx.store().delete(&events_of(&stack.id), &number)?;
    }
    if cx.store().get::<String>(NAMES, &stack.name)?.as_deref() == Some(stack.id.as_str()) {
        cx.store().delete(NAMES, &stack.name)?;
    }
    Ok(())
}

/// A stack by its name (living ones) or its id (deleted ones, too).
pub fn find(cx: &Context, name_or_id: &str) -> anyhow::Result<Option<Stack>> {
    let id = match name_or_id.starts_with("arn:") {
        true => Some(name_or_id.to_owned()),
        false => cx.store().get(NAMES, name_or_id)?,
    };
    id.map_or(Ok(None), |id| cx.store().get(STACKS, &id))
}

/// The same, or the error that AWS gives.
pub fn existing(cx: &Context, name_or_id: &str) -> Result<Stack, AwsError> {
    let missing = || AwsError::validation(format!("Stack with id {name_or_id} does not exist"));
    find(cx, name_or_id)?.ok_or_else(missing)
}

/// Every stack, deleted ones included, newest first.
pub fn all(cx: &Context) -> anyhow::Result<Vec<Stack>> {
    let mut stacks: Vec<Stack> = cx.store().list(STACKS)?.into_iter().map(|(_, stack)| stack).collect();
    stacks.sort_by(|a, b| b.created.cmp(&a.created));
    Ok(stacks)
}

fn events_of(id: &str) -> String {
    format!("cloudformation.events.{id}")
}
