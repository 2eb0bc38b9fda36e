//! A PostgreSQL server that can be killed and started again.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{free_port, log, process::Process, tools};

/// How long a server may take until it answers, recovery included.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server; it does not wait for the disk, which only the death of the machine would show.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
}

impl Postgres {
    /// Makes a new server in `folder` with these databases.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn start(folder: &Path, databases: &[&str]) -> Self {
        let port = free_port();
        let command = tools::script("postgres", ["exec", &folder.display().to_string(), &port.to_string()]);
        let env = tools::environment();
        let postgres = Self {
            process: Process::start("PostgreSQL", command, env, &folder.with_extension("log")),
            port,
        };
        let mut admin = postgres.answers().await;
        for name in databases {
            let create = AssertSqlSafe(format!("create database {name}"));
            admin.execute(create).await.expect("create database");
        }
        postgres
    }

    /// The address of one of its databases, with no proxy before it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process: that of the postmaster.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// SIGKILL; its children notice and end, too.
    pub async fn kill9(&self) {
        self.process.kill9().await;
    }

    /// Starts it again on the same data and port, and waits until it answers.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn restart(&self) {
        self.process.start_again();
        self.answers().await;
    }

    async fn answers(&self) -> PgConnection {
        let url = self.url("postgres");
        crate::eventually("PostgreSQL to answer", PATIENCE, async || {
            // A child of the server that was killed may still hold its memory: then the new one ends at once.
            if !self.process.is_running() {
                eprintln!(
                    "PostgreSQL ended and is started again:\n{}",
                    log::tail(self.process.log())
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.process.start_again();
            }
            PgConnection::connect(&url).await.ok()
        })
        .await
    }
}

/// What the services are told: variables are kept here so that the address has one home.
pub(crate) fn environment(port: u16, database: &str, password: &str) -> BTreeMap<String, String> {
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}");
    BTreeMap::from([("DATABASE_URL".to_owned(), url)])
}
