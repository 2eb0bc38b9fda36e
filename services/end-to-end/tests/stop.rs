//! SIGTERM: not ready any more, yet answering; then what is under way, then the end, and nothing is lost.

use std::time::Duration;

use contracts::topics::ANALYTICS_GROUP;
use end_to_end::{Answer, Client, Link, Options, Replica, Service, System, a_patient, eventually, until};
use futures::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// What the platform grants between SIGTERM and SIGKILL.
const GRANTED: Duration = Duration::from_secs(30);

/// A request that stays under way while its table is locked.
struct Slow {
    service: Service,
    /// Whose table it waits for.
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
async fn a_stopping_service_first_says_so_then_answers_what_is_under_way_and_ends_well() {
    let system = System::start(Options::default()).await;
    let admin = system.admin().await;
    // The gateway's slow request is patient-service's, so the gateway goes first.
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
    lock.somebody_waits(name).await;

    replica.process().signal(Signal::TERM);
    until(
        &format!("{name} to say that it stops"),
        Duration::from_secs(5),
        async || {
            let asked = replica.management().get("/health/ready").send().await;
            asked.is_ok_and(|answer| answer.status == 503)
        },
    )
    .await;
    let asked = client.get("/health/live").send().await;
    let still = asked.unwrap_or_else(|error| panic!("{name} takes no requests right after SIGTERM: {error}"));
    assert_eq!(still.status, 200, "{name} is asked after SIGTERM");
    refuses(&replica).await;
    assert!(
        !waiting.is_finished(),
        "{name} did not wait for the request that was under way"
    );
    assert!(replica.process().is_running(), "{name} left a request behind");

    lock.release().await;
    let answer: Result<Answer, String> = waiting.await.expect("the request's task");
    let answer = answer.unwrap_or_else(|error| panic!("{name} dropped the request that was under way: {error}"));
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let ended = replica.process().exited(GRANTED).await;
    assert!(ended.success(), "{name} ends with {ended}");
}

/// Waits until the replica takes no more connections.
async fn refuses(replica: &Replica) {
    let what = format!("{} to close its door", replica.service().name());
    until(&what, Duration::from_secs(10), async || {
        tokio::net::TcpStream::connect(replica.address()).await.is_err()
    })
    .await;
}

/// A table that nobody else can read.
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

    async fn somebody_waits(&mut self, name: &str) {
        let what = format!("a request of {name} to wait for the table {}", self.table);
        let connection = tokio::sync::Mutex::new(&mut self.connection);
        until(&what, Duration::from_secs(10), async || {
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
            .expect("the lock is given back");
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
    assert!(
        ended.success(),
        "patient-service ends with {ended} although the broker is silent"
    );
    let kept: i64 = sqlx::query_scalar("select count(*) from outbox")
        .fetch_one(&system.database(Service::Patient))
        .await
        .expect("the outbox");
    assert_eq!(kept, 20, "what was not acknowledged stays in the outbox");

    system.link(Link::Kafka(Service::Patient)).restore().await;
    patient.restart().await;
    published(&system, &created).await;
}

async fn create(client: &Client) -> String {
    let answer = client.post("/patients").json(&a_patient()).answer().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Waits until the topic has an event of each patient, and the outbox none.
async fn published(system: &System, created: &[String]) {
    until("every event to be published", GRANTED, async || {
        let left: Result<i64, _> = sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(&system.database(Service::Patient))
            .await;
        left.is_ok_and(|left| left == 0)
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
async fn a_consumer_that_stops_leaves_its_group_and_the_other_goes_on() {
    let options = Options::default()
        .only([Service::Auth, Service::Patient, Service::Analytics])
        .replicas(Service::Analytics, 2);
    let system = System::start(options).await;
    let admin = system.admin().await;
    let patients = admin.at(system.base(Service::Patient));
    let members = async || system.kafka().members(ANALYTICS_GROUP).await;
    until("both to be members of the group", GRANTED, async || {
        members().await == 2
    })
    .await;
    let first = create(&patients).await;
    seen(&admin, &system, &first).await;

    let leaving = system.replica(Service::Analytics);
    system.remove_replica(&leaving);
    let ended = leaving.terminate().await;
    assert!(ended.success(), "analytics-service ends with {ended}");
    // The broker would keep one who just vanishes for the session timeout, 10 s; one who leaves is gone at once.
    assert_eq!(
        members().await,
        1,
        "the stopped consumer is still a member of its group"
    );
    // So many that every partition has some.
    for id in join_all((0..12).map(|_| create(&patients))).await {
        seen(&admin, &system, &id).await;
    }
    let twice: Vec<(String, i64)> =
        sqlx::query_as("select event_id::text, count(*) from events group by event_id having count(*) > 1")
            .fetch_all(&system.database(Service::Analytics))
            .await
            .expect("the journal");
    assert_eq!(twice, [], "effects that happened twice");
}

/// Waits until analytics knows the patient's creation.
async fn seen(admin: &Client, system: &System, id: &str) {
    let analytics = admin.at(system.base(Service::Analytics));
    let path = format!("/analytics/events?patientId={id}");
    let events = eventually(&format!("analytics to see patient {id}"), GRANTED, async || {
        let answer = analytics.get(&path).send().await.ok()?;
        let events = answer.json();
        (events.as_array()?.len() == 1).then_some(events)
    })
    .await;
    assert_eq!(events[0]["eventType"], json!("PATIENT_CREATED"));
}
