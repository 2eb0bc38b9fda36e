//! `scripts/bench services`: measures how fast patient-service publishes a backlog of its outbox.

use std::time::{Duration, Instant};

use contracts::{patient::events::PatientEvent, topics::PATIENT};
use end_to_end::{Options, Service::Patient, System};
use prost::Message;
use sqlx::PgPool;
use tokio::time::sleep;
use uuid::Uuid;

/// Size of a backlog: the events of an hour without Kafka, at six changes per second.
const EVENTS: usize = 20_000;
/// Number of measurements of each backlog, after one that is not counted.
const RUNS: usize = 5;

#[tokio::main]
async fn main() {
    let system = System::start(Options::default().only([Patient])).await;
    let pool = system.database(Patient);
    for (what, patients) in [
        ("of as many patients", EVENTS),
        ("of 2000 patients, 10 each", 2000),
        ("of 20 patients, 1000 each", 20),
    ] {
        let mut times = Vec::new();
        for run in 0..=RUNS {
            let started = commit(&pool, patients).await;
            wait_until_empty(&pool).await;
            if run > 0 {
                times.push(started.elapsed().as_secs_f64());
            }
        }
        times.sort_by(f64::total_cmp);
        let (median, min, max) = (times[RUNS / 2], times[0], times[RUNS - 1]);
        let rate = EVENTS as f64 / median;
        println!(
            "outbox, {EVENTS} events {what:26} median {median:5.1} s   min {min:5.1}   max {max:5.1}   n={RUNS}   {rate:5.0} per second"
        );
    }
}

/// Writes a backlog in one transaction, and returns the time of the commit.
async fn commit(pool: &PgPool, patients: usize) -> Instant {
    let ids: Vec<String> = (0..patients).map(|_| Uuid::new_v4().to_string()).collect();
    let (keys, payloads): (Vec<String>, Vec<Vec<u8>>) = (0..EVENTS)
        .map(|number| {
            let id = ids[number % patients].clone();
            let version = i64::try_from(number / patients).expect("few versions") + 1;
            let payload = event(&id, version).encode_to_vec();
            (id, payload)
        })
        .unzip();
    let mut transaction = pool.begin().await.expect("a transaction");
    let insert = "with events as (
                      insert into outbox (topic, key, payload)
                      select $1, key, payload from unnest($2::text[], $3::bytea[]) with ordinality as events (key, payload, position)
                      order by position
                  )
                  select pg_notify('outbox', '')";
    sqlx::query(insert)
        .bind(PATIENT)
        .bind(keys)
        .bind(payloads)
        .execute(&mut *transaction)
        .await
        .expect("a backlog");
    transaction.commit().await.expect("a commit");
    Instant::now()
}

fn event(patient: &str, version: i64) -> PatientEvent {
    PatientEvent {
        patient_id: patient.to_owned(),
        name: "Ada Lovelace".to_owned(),
        email: "ada.lovelace@example.org".to_owned(),
        event_type: "PATIENT_UPDATED".to_owned(),
        event_id: Uuid::now_v7().to_string(),
        occurred_at: Some(prost_types::Timestamp {
            seconds: 1_790_000_000,
            nanos: 0,
        }),
        version,
        birth_year: 1990,
    }
}

async fn wait_until_empty(pool: &PgPool) {
    let query = "select exists (select from outbox)";
    while sqlx::query_scalar::<_, bool>(query)
        .fetch_one(pool)
        .await
        .expect("the outbox")
    {
        sleep(Duration::from_millis(20)).await;
    }
}
