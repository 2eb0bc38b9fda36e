//! A million patients: how long the lists take, and the plans that the database really chose. `scripts/bench services` runs it.

use std::time::Instant;

use http::Method;
use patient_service::{
    page::Cursor,
    patient::{list, list::Wanted, search::Search, sort::Sort},
};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    million::fill,
    support::{House, house, patient},
};

const ROWS: i32 = 1_000_000;
/// Each act is measured so often, after one that is not counted; more than the five executions after which PostgreSQL
/// may keep one plan for all values.
const RUNS: usize = 11;

/// Something to list: what it is called, the search, the order, and whether it is a page from the middle.
const LISTS: [(&str, Option<&str>, Sort, bool); 11] = [
    ("first page", None, Sort::Name, false),
    ("deep page", None, Sort::Name, true),
    ("deep page, -name", None, Sort::NameDescending, true),
    ("first page, dateOfBirth", None, Sort::DateOfBirth, false),
    ("search, one match", Some("zebulon"), Sort::Name, false),
    ("search, no match", Some("nobody at all"), Sort::RegisteredDate, false),
    ("search, 1 in 90", Some("pab"), Sort::Name, false),
    ("search, all match", Some("main street"), Sort::Name, false),
    ("search, all match, deep", Some("main street"), Sort::DateOfBirth, true),
    ("search, 1 letter, few", Some("z"), Sort::Name, false),
    ("search, 2 letters, many", Some("pa"), Sort::Name, false),
];

#[tokio::test]
#[ignore = "a benchmark of minutes: scripts/bench services"]
async fn medians_and_plans_at_a_million_patients() {
    let house = house!();
    house.peer.start().await;
    let begun = Instant::now();
    let index: String = sqlx::query_scalar("select indexdef from pg_indexes where indexname = 'patient_search'")
        .fetch_one(&house.database.pool)
        .await
        .expect("the index");
    // Many rows are indexed faster at once than one by one.
    execute(&house.database.pool, "drop index patient_search".to_owned()).await;
    fill(&house.database.pool, ROWS).await;
    execute(&house.database.pool, index).await;
    house.create("Zebulon Quixote").await;
    println!("{ROWS} patients were made in {:.0} s\n", begun.elapsed().as_secs_f64());

    let plain = connect(&house.database.url, "select 1").await;
    for (what, search, sort, deep) in LISTS {
        let (search, after) = (
            Search::parse(search).expect("a search"),
            middle(&plain, sort).await.filter(|_| deep),
        );
        measure(what, async || page(&plain, search.as_ref(), sort, after.as_ref()).await).await;
    }
    measure("count, unfiltered", async || {
        let total = sqlx::query_scalar::<_, i64>("select coalesce(sum(patients), 0)::bigint from patient_count");
        assert_eq!(total.fetch_one(&plain).await.expect("a total") / i64::from(ROWS), 1);
    })
    .await;
    measure("create, with its billing account", async || {
        let body = patient(&format!("Patient {}", Uuid::new_v4().simple()));
        let answer = house.call(Method::POST, "/patients", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    })
    .await;
    plain.close().await;
    explain(&house.database.url).await;
    house.database.drop().await;
}

/// Prints the plan of every statement of every list, as the server reports them to the connection.
async fn explain(url: &str) {
    let notices = tracing_subscriber::fmt()
        .with_env_filter("off,sqlx::postgres::notice=trace")
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .without_time()
        .finish();
    let _guard = tracing::subscriber::set_default(notices);
    let pool = connect(
        url,
        "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
         set auto_explain.log_buffers = on; set auto_explain.log_timing = off",
    )
    .await;
    for (what, search, sort, deep) in LISTS {
        let (search, after) = (
            Search::parse(search).expect("a search"),
            middle(&pool, sort).await.filter(|_| deep),
        );
        println!("\n=== {what}");
        report(&pool, "log").await;
        page(&pool, search.as_ref(), sort, after.as_ref()).await;
        report(&pool, "warning").await;
    }
    pool.close().await;
}

/// One connection, so that what is set holds for all that follows.
async fn connect(url: &str, settings: &'static str) -> PgPool {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(url)
        .await
        .expect("a pool");
    sqlx::raw_sql(settings).execute(&pool).await.expect("settings");
    pool
}

async fn execute(pool: &PgPool, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(pool)
        .await
        .expect("done");
}

async fn report(pool: &PgPool, level: &'static str) {
    sqlx::query("select set_config('client_min_messages', $1, false)")
        .bind(level)
        .execute(pool)
        .await
        .expect("a setting");
}

async fn page(pool: &PgPool, search: Option<&Search>, sort: Sort, after: Option<&Cursor>) {
    let wanted = Wanted {
        search,
        sort,
        limit: 20,
        after,
    };
    list::page(pool, wanted).await.expect("a page");
}

/// The cursor behind the patient in the middle of all.
async fn middle(pool: &PgPool, sort: Sort) -> Option<Cursor> {
    let half = match sort {
        Sort::Name | Sort::NameDescending => "select name, id from patient order by name, id offset $1 limit 1",
        Sort::DateOfBirth => "select date_of_birth::text, id from patient order by date_of_birth, id offset $1 limit 1",
        Sort::RegisteredDate => {
            "select registered_date::text, id from patient order by registered_date, id offset $1 limit 1"
        }
    };
    let (key, id) = sqlx::query_as(half)
        .bind(i64::from(ROWS / 2))
        .fetch_one(pool)
        .await
        .expect("a patient");
    Some(Cursor::new(sort.as_str(), key, id))
}

async fn measure<F: AsyncFn()>(what: &str, act: F) {
    act().await;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        act().await;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let (median, least, most) = (times[RUNS / 2], times[0], times[RUNS - 1]);
    println!("{what:34} median {median:8.1} ms   min {least:8.1}   max {most:8.1}   n={RUNS}");
}
