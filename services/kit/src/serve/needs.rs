//! What a service usually needs, as checks and background work of its server.

use sqlx::PgPool;

use super::Server;
use crate::{database, kafka, token::Verifier};

impl Server {
    /// Is not ready without this database.
    pub fn database(self, pool: &PgPool) -> Self {
        let pool = pool.clone();
        self.ready("database", move || {
            let pool = pool.clone();
            async move { database::ping(&pool).await }
        })
    }

    /// Keeps the keys of auth-service fresh, and tells whether there are any.
    pub fn tokens(self, verifier: &Verifier) -> Self {
        let (checked, kept) = (verifier.clone(), verifier.clone());
        self.report("auth-service", move || std::future::ready(checked.check()))
            .background("signing keys", |shutdown| kept.keep_fresh(shutdown))
    }

    /// Tells whether a broker answers.
    pub fn kafka(self, producer: &kafka::Producer) -> Self {
        let producer = producer.clone();
        self.report("kafka", move || {
            let producer = producer.clone();
            async move { kafka::reachable(&producer).await }
        })
    }
}
