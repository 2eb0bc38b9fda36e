//! A database as on Amazon RDS: TLS only, with a private certificate authority, and a password that is rotated every week.

mod rds;
mod secrets_manager;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use end_to_end::wait_until;
use kit::database::{self, Pool};
use sqlx::migrate::Migrator;
use tokio::{task::JoinHandle, time::sleep};

use rds::Rds;
use secrets_manager::{ARN, SecretsManager};

/// Time limit of a step.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Callers that open a connection for each of their queries.
struct Load {
    callers: Vec<JoinHandle<()>>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(pool: &Pool) -> Self {
        let (answered, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let caller = || {
            let (pool, answered, stop) = (pool.clone(), answered.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut connection = pool.acquire().await.expect("a connection");
                    let query = sqlx::query("select 1").execute(&mut *connection).await;
                    query.expect("an answer");
                    let _ = connection.close().await;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Self {
            callers: (0..6).map(|_| caller()).collect(),
            answered,
            stop,
        }
    }

    /// Waits until more queries are answered.
    async fn more(&self) {
        let goal = self.answered.load(Ordering::Relaxed) + 30;
        wait_until("answers", TIMEOUT, async || {
            self.answered.load(Ordering::Relaxed) >= goal
        })
        .await;
    }

    /// Ends the callers, of whose queries none may have failed.
    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.expect("no failed query");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; scripts/test end-to-end runs it"]
async fn rotations_under_load_fail_no_query_and_read_the_secret_once() {
    let rds = Rds::start().await;
    let secrets = SecretsManager::start("the-first").await;
    let args = rds.args("the-first", ARN, secrets.identity());
    let pool = database::connect(&args).await.expect("a pool");
    let load = Load::start(&pool);
    load.more().await;
    assert_eq!(
        secrets.reads(),
        0,
        "the password of the environment is used while it works"
    );

    secrets.set("the-second");
    rds.set_password("the-second").await;
    load.more().await;
    assert_eq!(secrets.reads(), 1, "all rejected callers wait for one reading");

    // The database is ahead of the secret, and then the secret of the database.
    rds.set_password("the-third").await;
    sleep(Duration::from_millis(400)).await;
    secrets.set("the-third");
    load.more().await;
    secrets.set("the-fourth");
    sleep(Duration::from_millis(400)).await;
    rds.set_password("the-fourth").await;
    load.more().await;
    load.stop().await;

    // Notifications and migrations meet a rotation in the same way, and so does a statement on the pool.
    rds.set_password("the-fifth").await;
    secrets.set("the-fifth");
    rds.end_sessions().await;
    pool.listen("outbox").await.expect("notifications");
    rds.set_password("the-sixth").await;
    secrets.set("the-sixth");
    rds.end_sessions().await;
    database::migrate(&pool, &Migrator::DEFAULT).await.expect("migrations");
    rds.set_password("the-seventh").await;
    secrets.set("the-seventh");
    rds.end_sessions().await;
    let answer: i32 = sqlx::query_scalar("select 1")
        .fetch_one(&pool)
        .await
        .expect("an answer");
    assert_eq!(answer, 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL; scripts/test end-to-end runs it"]
async fn a_service_starts_with_the_secret_if_the_password_of_its_environment_is_outdated() {
    let rds = Rds::start().await;
    rds.set_password("the-second").await;
    let secrets = SecretsManager::start("the-second").await;
    let args = rds.args("the-first", ARN, secrets.identity());
    let pool = database::connect(&args).await.expect("a pool");
    assert!(database::ping(&pool).await.is_ok());
}

#[tokio::test]
#[ignore = "needs the services' binaries; scripts/test end-to-end runs it"]
async fn a_service_with_the_secret_goes_on_after_a_rotation_and_logs_no_password() {
    let rds = Rds::start().await;
    let secrets = SecretsManager::start("the-first").await;
    let url = secrets.url();
    let secret = [
        ("DATABASE_SECRET_ARN", ARN),
        ("AWS_ENDPOINT_URL", &url),
        ("AWS_ACCESS_KEY_ID", secrets_manager::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let service = rds.service("the-first", Some(&rds.authority), &secret);
    service.wait_ready().await;
    rds.set_password("the-second").await;
    secrets.set("the-second");
    rds.end_sessions().await;
    assert!(
        service.is_ready().await,
        "the health check meets the rotation and succeeds"
    );
    assert!(service.process().is_running());
    let log = rds.log();
    assert!(
        !log.contains("the-first") && !log.contains("the-second"),
        "a password in the log"
    );
}

#[tokio::test]
#[ignore = "needs the services' binaries; scripts/test end-to-end runs it"]
async fn without_the_secret_a_rotated_password_ends_the_service_with_a_message_and_the_next_one_starts_with_the_new_password()
 {
    let rds = Rds::start().await;
    let service = rds.service("the-first", Some(&rds.authority), &[]);
    service.wait_ready().await;
    rds.set_password("the-second").await;
    rds.end_sessions().await;
    // The next query, here the health check, opens a new connection.
    let _ = service.is_ready().await;
    let ended = service.process().exited(Duration::from_secs(40)).await;
    assert!(!ended.success(), "ECS replaces a task that failed: {ended}");
    let log = rds.log();
    assert!(log.contains("rejected the password (28P01): it was rotated"), "{log}");
    assert!(!log.contains("the-first"), "a password in the log");

    let next = rds.service("the-second", Some(&rds.authority), &[]);
    next.wait_ready().await;
}

#[tokio::test]
#[ignore = "needs the services' binaries; scripts/test end-to-end runs it"]
async fn a_server_with_an_untrusted_certificate_gets_no_password() {
    let rds = Rds::start().await;
    let service = rds.service("the-first", None, &[]);
    let ended = service.process().exited(Duration::from_secs(20)).await;
    assert!(!ended.success());
    let log = rds.log();
    assert!(
        log.contains("is not trusted") && log.contains("DATABASE_CA_FILE"),
        "{log}"
    );
}
