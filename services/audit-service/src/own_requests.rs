//! The requests to this service itself, which are records of the chain too.

use async_trait::async_trait;
use contracts::audit::Event;
use kit::audit::Sink;
use kit::database::Pool;

use crate::chain;

/// Appends the records of this service's own requests, before they are answered.
pub struct OwnRequests(pub Pool);

#[async_trait]
impl Sink for OwnRequests {
    async fn write(&self, record: Event) -> sqlx::Result<()> {
        let Self(pool) = self;
        chain::append(pool, &record).await.map(drop)
    }
}
