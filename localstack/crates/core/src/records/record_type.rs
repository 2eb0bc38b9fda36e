//! Resource types whose resources are records.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use super::record::{Record, Records};
use crate::context::Context;
use crate::error::{AwsError, Failure};
use crate::resource::{Desired, Resource, ResourceType, Schema};
use crate::store::Store;

/// The rules of one type of record; [`record_type`] adds storing and reading. All functions run under the [`WriteLock`], and those that
/// change something in a transaction of the store.
pub trait RecordType: Send + Sync + 'static {
    /// Name of the resource type, such as `AWS::EC2::VPC`.
    const TYPE: &'static str;
    /// The collection in the store.
    const RECORDS: Records;

    /// Returns the properties and attributes of the type.
    fn schema() -> Schema;

    /// Validates the desired state and returns the record, after creating what belongs to it.
    ///
    /// # Errors
    /// The service's own error for what it rejects.
    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError>;

    /// Returns the values of `Ref` and `Fn::GetAtt`.
    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
    }

    /// Returns the current properties in the form of a template.
    fn read(record: &Record) -> Value {
        record.template_properties()
    }

    /// Validates a record that has new properties, and updates what belongs to it.
    ///
    /// # Errors
    /// The service's own error for what it rejects.
    fn update(_cx: &Context, _record: &mut Record) -> Result<(), AwsError> {
        Ok(())
    }

    /// Deletes what belongs to the record.
    ///
    /// # Errors
    /// The service's own error if the resource is in use.
    fn delete(_cx: &Context, _record: &Record) -> Result<(), AwsError> {
        Ok(())
    }
}

/// Returns the resource type of a [`RecordType`].
pub fn record_type<K: RecordType>() -> Arc<dyn ResourceType> {
    Arc::new(Type::<K>(PhantomData))
}

struct Type<K>(PhantomData<K>);

#[async_trait]
impl<K: RecordType> ResourceType for Type<K> {
    fn name(&self) -> &'static str {
        K::TYPE
    }

    fn schema(&self) -> Schema {
        K::schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let record = cx.store().transaction(|| -> Result<_, AwsError> {
            let record = K::create(cx, desired)?;
            K::RECORDS.put(cx, &record)?;
            desired.initiated.report(&K::resource(cx, &record).physical_id)?;
            Ok(record)
        })?;
        Ok(K::resource(cx, &record))
    }

    async fn update(&self, cx: &Context, id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let Some(mut record) = K::RECORDS.get(cx, id)? else {
            return Err(Failure::new(format!(
                "{} {id} does not exist: it was deleted outside of the stack",
                K::TYPE
            )));
        };
        record.set_desired(desired);
        cx.store().transaction(|| {
            K::update(cx, &mut record)?;
            K::RECORDS.put(cx, &record)
        })?;
        Ok(K::resource(cx, &record))
    }

    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        cx.store().transaction(|| {
            if let Some(record) = K::RECORDS.get(cx, id)? {
                K::delete(cx, &record)?;
                K::RECORDS.delete(cx, id)?;
            }
            Ok(())
        })
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        Ok(K::RECORDS.get(cx, id)?.map(|record| K::read(&record)))
    }
}

/// Makes a read and the write that depends on it one step; held only while a few documents are read and written.
#[derive(Default)]
pub struct WriteLock(Mutex<()>);

impl WriteLock {
    /// Waits for the lock. Not to be held across an `await`.
    ///
    /// # Panics
    /// In a transaction of the store, since another holder of the lock may wait for that transaction.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        assert!(!Store::is_in_transaction(), "the lock is taken before the transaction");
        self.0.lock()
    }
}
