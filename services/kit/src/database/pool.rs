//! The pool of connections, which survives a rotation of the password.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use sqlx::{
    Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr, Transaction,
    pool::PoolConnection,
    postgres::{PgListener, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::rotation::Rotation;

/// Connections to the service's own database; cheap to clone.
///
/// It does what sqlx's pool does. If the server rejects the password of a new connection, it reads the new one from the
/// secret and connects again, so that no statement fails because of a rotation.
#[derive(Clone, Debug)]
pub struct Pool {
    pool: PgPool,
    rotation: Option<Arc<Rotation>>,
}

impl Pool {
    pub(super) fn new(pool: PgPool, rotation: Option<Rotation>) -> Self {
        Self {
            pool,
            rotation: rotation.map(Arc::new),
        }
    }

    /// Acquires a connection.
    ///
    /// # Errors
    /// Those of the pool; an I/O error, for which [`super::is_unreachable`] is true, if the password was rotated and the new
    /// one does not work in time.
    pub fn acquire(&self) -> BoxFuture<'_, sqlx::Result<PoolConnection<Postgres>>> {
        Box::pin(async move { self.connecting(|| self.pool.acquire()).await })
    }

    /// Acquires a connection and begins a transaction.
    ///
    /// # Errors
    /// Those of [`Pool::acquire`].
    pub fn begin(&self) -> BoxFuture<'_, sqlx::Result<Transaction<'static, Postgres>>> {
        Box::pin(async move { self.connecting(|| self.pool.begin()).await })
    }

    /// Acquires a connection and begins a transaction with this statement.
    ///
    /// # Errors
    /// Those of [`Pool::acquire`].
    pub fn begin_with(&self, statement: &'static str) -> BoxFuture<'_, sqlx::Result<Transaction<'static, Postgres>>> {
        Box::pin(async move { self.connecting(|| self.pool.begin_with(statement)).await })
    }

    /// Acquires a connection for notifications of this channel.
    ///
    /// # Errors
    /// Those of [`Pool::acquire`].
    pub async fn listen(&self, channel: &str) -> sqlx::Result<PgListener> {
        let mut listener = self.connecting(|| PgListener::connect_with(&self.pool)).await?;
        listener.listen(channel).await?;
        Ok(listener)
    }

    /// Closes all connections, once they are no longer used.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Returns the numbers of open and of idle connections.
    pub(super) fn counts(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    async fn connecting<T, F>(&self, connect: impl Fn() -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        match &self.rotation {
            Some(rotation) => rotation.connecting(&self.pool, connect).await,
            None => connect().await,
        }
    }
}

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self::new(pool, None)
    }
}

impl<'p> Executor<'p> for &Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        // The rows are read at once: nothing in this repository streams them, and the stream would borrow its connection.
        let rows = async move {
            let mut connection = pool.acquire().await?;
            sqlx::Result::Ok(connection.fetch_many(query).collect::<Vec<_>>().await)
        };
        rows.map(|rows| match rows {
            Ok(rows) => stream::iter(rows),
            Err(error) => stream::iter(vec![Err(error)]),
        })
        .flatten_stream()
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}
