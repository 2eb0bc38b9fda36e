//! SIGTERM: not ready but still serving, then only the requests in flight, then the end; nothing is lost.

use std::time::Duration;

use contracts::topics::ANALYTICS_GROUP;
use end_to_end::{
    Client, Link, Options, Replica, RequestError, Response, Service, System, a_patient, wait_for, wait_until,
};
use futures::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Time between SIGTERM and SIGKILL on the platform.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A request that waits while its table is locked.
struct Slow {
    service: Service,
    /// The service whose table is locked.
    database: Service,
    table: &'static str,
    path: &'static str,
}

const SLOW: [Slow; 6] = [
    slow(Service::Auth, Service::Auth, "users", "/users"),
    slow(Service::Billing, Service::Billing, "accounts", "/billing/accounts"),
    slow(Service::Patient, Service::Patient, "family", "/families"),
    slow(Service::Analytics, Service::Analytics, "events", "/analytics/summary"),
    slow(
        Service::Notification,
        Service::Notification,
        "notifications",
        "/notifications",
    ),
    slow(Service::Gateway, Service::Patient, "family", "/api/families"),
];

const fn slow(service: Service, database: Service, table: &'static str, path: &'static str) -> Slow {
    Slow {
        service,
        database,
        table,
        path,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_stopping_service_is_not_ready_completes_its_requests_and_exits_with_success() {
    let system = System::start(Options::default()).await;
    let admin = system.admin().await;
    // The gateway's slow request is one of patient-service, so the gateway is first.
    stop(&system, &admin, &SLOW[5]).await;
    join_all(SLOW[..5].iter().map(|slow| stop(&system, &admin, slow))).await;
}

async fn stop(system: &System, admin: &Client, slow: &Slow) {
    let name = slow.service.name();
    let replica = system.replica(slow.service);
    let client = admin.at(format!("http://{}", replica.address()));
    let mut lock = Lock::take(system, slow).await;
    let waiting = {
        let (client, path) = (client.clone(), slow.path);
        tokio::spawn(async move { client.get(path).send().await })
    };
    lock.wait_contended(name).await;

    replica.process().signal(Signal::TERM);
    wait_until(&format!("{name} to be not ready"), Duration::from_secs(5), async || {
        let response = replica.management().get("/health/ready").send().await;
        response.is_ok_and(|response| response.status == 503)
    })
    .await;
    let response = client.get("/health/live").send().await;
    let response = response.unwrap_or_else(|error| panic!("{name} rejects requests right after SIGTERM: {error}"));
    assert_eq!(response.status, 200, "{name} after SIGTERM");
    wait_refused(&replica).await;
    assert!(!waiting.is_finished(), "{name} did not wait for the request in flight");
    assert!(
        replica.process().is_running(),
        "{name} exited before the request in flight was complete"
    );

    lock.release().await;
    let response: Result<Response, RequestError> = waiting.await.expect("the request's task");
    let response = response.unwrap_or_else(|error| panic!("{name} dropped the request in flight: {error}"));
    assert_eq!(response.status, 200, "{name}: {}", response.text());
    let ended = replica.process().exited(STOP_TIMEOUT).await;
    assert!(ended.success(), "{name} exited with {ended}");
}

/// Waits until the replica refuses connections.
async fn wait_refused(replica: &Replica) {
    let what = format!("{} to close its listener", replica.service().name());
    wait_until(&what, Duration::from_secs(10), async || {
        tokio::net::TcpStream::connect(replica.address()).await.is_err()
    })
    .await;
}

/// A table with an exclusive lock.
struct Lock {
    connection: PgConnection,
    table: &'static str,
}

impl Lock {
    async fn take(system: &System, slow: &Slow) -> Lock {
        let name = slow.database.database().expect("a service with a database");
        let mut connection = PgConnection::connect(&system.postgres().url(name))
            .await
            .expect("the database");
        let lock = format!("begin; lock table {} in access exclusive mode", slow.table);
        connection.execute(AssertSqlSafe(lock)).await.expect("the lock");
        Lock {
            connection,
            table: slow.table,
        }
    }

    async fn wait_contended(&mut self, name: &str) {
        let what = format!("a request of {name} to wait for the table {}", self.table);
        let connection = tokio::sync::Mutex::new(&mut self.connection);
        wait_until(&what, Duration::from_secs(10), async || {
            let count =
                sqlx::query_scalar("select count(*) from pg_locks where not granted and relation = $1::regclass");
            let count: Result<i64, _> = count.bind(self.table).fetch_one(&mut **connection.lock().await).await;
            count.is_ok_and(|count| count > 0)
        })
        .await;
    }

    async fn release(mut self) {
        self.connection
            .execute("rollback")
            .await
            .expect("the release of the lock");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_producer_that_stops_while_the_broker_is_silent_loses_no_event() {
    let system = System::start(Options::default().only([Service::Auth, Service::Patient])).await;
    let admin = system.admin().await.at(system.base(Service::Patient));
    let mut created = vec![create(&admin).await];
    published(&system, &created).await;

    system.link(Link::Kafka(Service::Patient)).stall();
    for _ in 0..20 {
        created.push(create(&admin).await);
    }
    let patient = system.replica(Service::Patient);
    let ended = patient.terminate().await;
    assert!(ended.success(), "patient-service exited with {ended}");
    let events: i64 = sqlx::query_scalar("select count(*) from outbox where topic = 'patient'")
        .fetch_one(&system.database(Service::Patient))
        .await
        .expect("the outbox");
    assert_eq!(events, 20, "events that were not acknowledged stay in the outbox");

    system.link(Link::Kafka(Service::Patient)).restore().await;
    patient.restart().await;
    published(&system, &created).await;
}

async fn create(client: &Client) -> String {
    let response = client.post("/patients").json(&a_patient()).response().await;
    assert_eq!(response.status, 201, "{}", response.text());
    response.json()["id"].as_str().expect("an id").to_owned()
}

/// Waits until the outbox is empty, and checks that the topic has an event of each patient.
async fn published(system: &System, created: &[String]) {
    wait_until("every event to be published", STOP_TIMEOUT, async || {
        let events: Result<i64, _> = sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(&system.database(Service::Patient))
            .await;
        events.is_ok_and(|events| events == 0)
    })
    .await;
    let events = system.kafka().events().await;
    for id in created {
        assert!(
            events.iter().any(|event| event.patient_id == *id),
            "no event of patient {id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_stopping_consumer_leaves_its_group_and_the_other_member_continues() {
    let options = Options::default()
        .only([Service::Auth, Service::Patient, Service::Analytics])
        .replicas(Service::Analytics, 2);
    let system = System::start(options).await;
    let admin = system.admin().await;
    let patients = admin.at(system.base(Service::Patient));
    let members = async || system.kafka().members(ANALYTICS_GROUP).await;
    wait_until("both to be members of the group", STOP_TIMEOUT, async || {
        members().await == 2
    })
    .await;
    let first = create(&patients).await;
    wait_recorded(&admin, &system, &first).await;

    let leaving = system.replica(Service::Analytics);
    system.remove_replica(&leaving);
    let ended = leaving.terminate().await;
    assert!(ended.success(), "analytics-service exited with {ended}");
    // A member that disappears stays in the group until the session timeout, 10 s; one that leaves is removed at once.
    assert_eq!(
        members().await,
        1,
        "the stopped consumer is still a member of its group"
    );
    // Enough that every partition has some.
    for id in join_all((0..12).map(|_| create(&patients))).await {
        wait_recorded(&admin, &system, &id).await;
    }
    let duplicates: Vec<(String, i64)> =
        sqlx::query_as("select event_id::text, count(*) from events group by event_id having count(*) > 1")
            .fetch_all(&system.database(Service::Analytics))
            .await
            .expect("the journal");
    assert_eq!(duplicates, [], "duplicated effects");
}

/// Waits until analytics-service has recorded the patient's creation.
async fn wait_recorded(admin: &Client, system: &System, id: &str) {
    let analytics = admin.at(system.base(Service::Analytics));
    let path = format!("/analytics/events?patientId={id}");
    let events = wait_for(&format!("analytics to record patient {id}"), STOP_TIMEOUT, async || {
        let response = analytics.get(&path).send().await.ok()?;
        let events = response.json();
        (events.as_array()?.len() == 1).then_some(events)
    })
    .await;
    assert_eq!(events[0]["eventType"], json!("PATIENT_CREATED"));
}
