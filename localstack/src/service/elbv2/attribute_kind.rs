//! The kinds of objects with attributes: the values of one object, and the checks by the table of its kind.

use serde_json::Value;

use super::attribute_table::{
    Attribute, Effect, LISTENERS as OF_LISTENERS, LOAD_BALANCERS as OF_BALANCERS, TARGET_GROUPS as OF_GROUPS,
};
use super::model::{self, LISTENERS, LOAD_BALANCERS, TARGET_GROUPS, text};
use crate::records::{Record, Records};
use crate::service::Call;
use crate::{AwsError, Context};

/// The kind of an object with attributes.
#[derive(Clone, Copy)]
pub enum Kind {
    LoadBalancer,
    TargetGroup,
    Listener,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "LoadBalancer",
            Self::TargetGroup => "TargetGroup",
            Self::Listener => "Listener",
        }
    }

    /// Returns the name of the property with the attributes.
    pub fn property(self) -> String {
        format!("{}Attributes", self.name())
    }

    /// Returns all attributes of the kind.
    pub fn table(self) -> &'static [Attribute] {
        match self {
            Self::LoadBalancer => OF_BALANCERS,
            Self::TargetGroup => OF_GROUPS,
            Self::Listener => OF_LISTENERS,
        }
    }

    /// Returns the record that a call names, and its collection.
    pub fn find(self, cx: &Context, call: &Call) -> Result<(Record, Records), AwsError> {
        let arn = call.required(&format!("{}Arn", self.name()))?;
        Ok(match self {
            Self::LoadBalancer => (model::load_balancer(cx, &arn)?, LOAD_BALANCERS),
            Self::TargetGroup => (model::target_group(cx, &arn)?, TARGET_GROUPS),
            Self::Listener => (model::listener(cx, &arn)?, LISTENERS),
        })
    }

    /// Returns the value of an attribute: the object's, or the default.
    pub fn value(self, record: &Record, key: &str) -> String {
        let own = model::attribute(record, &self.property(), key);
        let default = || self.table().iter().find(|known| known.key == key);
        own.or_else(|| default().map(|known| known.default.to_owned()))
            .unwrap_or_default()
    }

    /// Returns the value of an attribute that is a number; 0 if it is none, such as `off`.
    pub fn number(self, record: &Record, key: &str) -> u64 {
        self.value(record, key).parse().unwrap_or_default()
    }

    pub fn is_true(self, record: &Record, key: &str) -> bool {
        self.value(record, key) == "true"
    }

    /// Checks the attributes of a record.
    ///
    /// # Errors
    /// `ValidationError` for an attribute or a value that AWS does not know, and for one that the endpoint would ignore.
    pub fn check(self, record: &Record) -> Result<(), AwsError> {
        self.own(record).iter().try_for_each(|one| self.check_one(one))
    }

    pub fn check_one(self, one: &Value) -> Result<(), AwsError> {
        let key = text(one, "Key").unwrap_or_default();
        let value = text(one, "Value").unwrap_or_default();
        let Some(known) = self.table().iter().find(|known| known.key == key) else {
            return Err(AwsError::validation(format!("Attribute key '{key}' is not recognized")));
        };
        // The protocol of the target group decides which types it can have: see `stickiness`.
        if value == known.default || key == "stickiness.type" {
            return Ok(());
        }
        if !known.values.contain(&value) {
            return Err(AwsError::validation(format!(
                "'{value}' is not a valid value for the attribute '{key}': it must be {}",
                known.values
            )));
        }
        match known.effect {
            Effect::Refused(reason) => Err(AwsError::validation(format!(
                "The embedded endpoint does not support {key} {value}: {reason}."
            ))),
            Effect::Acted | Effect::Kept(_) => Ok(()),
        }
    }

    /// Returns the attributes that were set.
    pub fn own(self, record: &Record) -> Vec<Value> {
        let own = record.properties.get(&self.property());
        own.and_then(Value::as_array).cloned().unwrap_or_default()
    }
}
