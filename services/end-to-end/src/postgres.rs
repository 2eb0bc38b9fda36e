//! A PostgreSQL server that can be killed and restarted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{free_port, log, process::Process, tools};

/// Time limit for a server to accept connections, with its recovery.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A server without fsync, which makes a difference only if the machine crashes.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
}

impl Postgres {
    /// Creates a server in `folder` with these databases.
    ///
    /// # Panics
    /// If it does not accept connections in time.
    pub async fn start(folder: &Path, databases: &[&str]) -> Self {
        let port = free_port();
        let command = tools::script("postgres", ["exec", &folder.display().to_string(), &port.to_string()]);
        let env = tools::environment();
        let postgres = Self {
            process: Process::start("PostgreSQL", command, env, &folder.with_extension("log")),
            port,
        };
        let mut admin = postgres.wait_ready().await;
        for name in databases {
            let create = AssertSqlSafe(format!("create database {name}"));
            admin.execute(create).await.expect("create database");
        }
        postgres
    }

    /// Returns the address of a database, without a proxy.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process of the postmaster.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends SIGKILL; its children notice and end as well.
    pub async fn kill9(&self) {
        self.process.kill9().await;
    }

    /// Restarts the server with the same data and port, and waits until it accepts connections.
    ///
    /// # Panics
    /// If it does not in time.
    pub async fn restart(&self) {
        self.process.restart();
        self.wait_ready().await;
    }

    async fn wait_ready(&self) -> PgConnection {
        let url = self.url("postgres");
        crate::wait_for("PostgreSQL to accept connections", START_TIMEOUT, async || {
            // A child of the killed server may still hold its shared memory: then the new server exits at once.
            if !self.process.is_running() {
                eprintln!("PostgreSQL exited and is restarted:\n{}", log::tail(self.process.log()));
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.process.restart();
            }
            PgConnection::connect(&url).await.ok()
        })
        .await
    }
}

/// Returns the environment variables with the address of a database.
pub(crate) fn environment(port: u16, database: &str, password: &str) -> BTreeMap<String, String> {
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}");
    BTreeMap::from([("DATABASE_URL".to_owned(), url)])
}
