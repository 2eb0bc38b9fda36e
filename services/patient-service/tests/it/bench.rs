//! Benchmark with a million patients: medians of the lists, and the plans that the database chose. `scripts/bench services`
//! runs it.

use std::time::Instant;

use http::Method;
use kit::database::Pool;
use kit::pagination::SortCursor;
use patient_service::patient::{list, list::ListParams, search::Search, sort::Sort};
use sqlx::{AssertSqlSafe, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    million::fill,
    support::{TestApp, patient},
};

const ROWS: i32 = 1_000_000;
/// Number of measured runs, after one that is not measured; more than the five after which PostgreSQL may cache a generic
/// plan.
const RUNS: usize = 11;

/// A list: its name, the search, the order, and true for a page from the middle.
const LISTS: [(&str, Option<&str>, Sort, bool); 11] = [
    ("first page", None, Sort::Name, false),
    ("deep page", None, Sort::Name, true),
    ("deep page, -name", None, Sort::NameDescending, true),
    ("first page, dateOfBirth", None, Sort::DateOfBirth, false),
    ("search, one match", Some("zebulon"), Sort::Name, false),
    ("search, no match", Some("no such name"), Sort::RegisteredDate, false),
    ("search, 1 in 90", Some("pab"), Sort::Name, false),
    ("search, all match", Some("main street"), Sort::Name, false),
    ("search, all match, deep", Some("main street"), Sort::DateOfBirth, true),
    ("search, 1 character, few", Some("z"), Sort::Name, false),
    ("search, 2 characters, many", Some("pa"), Sort::Name, false),
];

#[tokio::test]
#[ignore = "a benchmark of minutes: scripts/bench services"]
async fn medians_and_plans_at_a_million_patients() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let start = Instant::now();
    let index: String = sqlx::query_scalar("select indexdef from pg_indexes where indexname = 'patient_search'")
        .fetch_one(&app.database.pool)
        .await
        .expect("the index");
    // Creating an index at the end is faster than updating it for each row.
    execute(&app.database.pool, "drop index patient_search".to_owned()).await;
    fill(&app.database.pool, ROWS).await;
    execute(&app.database.pool, index).await;
    app.create("Zebulon Quixote").await;
    println!(
        "{ROWS} patients were inserted in {:.0} s\n",
        start.elapsed().as_secs_f64()
    );

    let pool = connect(&app.database.url, "select 1").await;
    for (name, search, sort, deep) in LISTS {
        let (search, after) = (
            Search::parse(search).expect("a search"),
            middle(&pool, sort).await.filter(|_| deep),
        );
        measure(name, async || page(&pool, search.as_ref(), sort, after.as_ref()).await).await;
    }
    measure("count, unfiltered", async || {
        let total = sqlx::query_scalar::<_, i64>("select coalesce(sum(patients), 0)::bigint from patient_count");
        assert_eq!(total.fetch_one(&pool).await.expect("a total") / i64::from(ROWS), 1);
    })
    .await;
    measure("create, with its billing account", async || {
        let body = patient(&format!("Patient {}", Uuid::new_v4().simple()));
        let response = app.call(Method::POST, "/patients", Some(body)).await;
        assert_eq!(response.status, 201, "{}", response.body);
    })
    .await;
    pool.close().await;
    explain(&app.database.url).await;
    app.database.drop().await;
}

/// Prints the plan of every statement of every list, as the server reports it to the connection.
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
    for (name, search, sort, deep) in LISTS {
        let (search, after) = (
            Search::parse(search).expect("a search"),
            middle(&pool, sort).await.filter(|_| deep),
        );
        println!("\n=== {name}");
        report(&pool, "log").await;
        page(&pool, search.as_ref(), sort, after.as_ref()).await;
        report(&pool, "warning").await;
    }
    pool.close().await;
}

/// Opens a pool of one connection, so that the settings apply to every later statement.
async fn connect(url: &str, settings: &'static str) -> Pool {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(url)
        .await
        .expect("a pool");
    sqlx::raw_sql(settings).execute(&pool).await.expect("settings");
    pool.into()
}

async fn execute(pool: &Pool, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(pool)
        .await
        .expect("done");
}

async fn report(pool: &Pool, level: &'static str) {
    sqlx::query("select set_config('client_min_messages', $1, false)")
        .bind(level)
        .execute(pool)
        .await
        .expect("a setting");
}

async fn page(pool: &Pool, search: Option<&Search>, sort: Sort, after: Option<&SortCursor>) {
    let params = ListParams {
        search,
        sort,
        limit: 20,
        after,
    };
    list::read(pool, params).await.expect("a page");
}

/// Returns the cursor behind the patient in the middle.
async fn middle(pool: &Pool, sort: Sort) -> Option<SortCursor> {
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
    Some(SortCursor::new(sort.as_str(), key, id))
}

async fn measure<F: AsyncFn()>(name: &str, act: F) {
    act().await;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        act().await;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let (median, min, max) = (times[RUNS / 2], times[0], times[RUNS - 1]);
    println!("{name:34} median {median:8.1} ms   min {min:8.1}   max {max:8.1}   n={RUNS}");
}
