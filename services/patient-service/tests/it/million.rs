//! Lists use their indexes on a table that is too large for a sequential scan.

use http::Method;
use kit::database::Pool;
use patient_service::patient::{list, list::ListParams, search::Search, sort::Sort};
use serde_json::json;

use crate::support::{TestApp, path_of, patient};

/// Enough rows that a sequential scan is never the cheapest plan of a page.
const ROWS: i32 = 50_000;

/// Inserts patients whose names are hashes.
pub async fn fill(pool: &Pool, rows: i32) {
    let insert = "insert into patient (id, name, email, address, date_of_birth, registered_date, version)
        select gen_random_uuid(), 'P' || translate(md5('n' || i), '0123456789', 'ghijklmnop'), md5('e' || i) || '@example.org',
            i || ' Main Street', date '1930-01-01' + i % 30000, date '2020-01-01' + i % 1500, 1
        from generate_series(1, $1) i";
    sqlx::query(insert).bind(rows).execute(pool).await.expect("rows");
    sqlx::query("analyze patient").execute(pool).await.expect("statistics");
}

/// Returns the number of sequential scans of the table, and of the rows that they read.
async fn scans(pool: &Pool) -> (i64, i64) {
    sqlx::query("select pg_stat_force_next_flush()")
        .execute(pool)
        .await
        .expect("statistics are written");
    sqlx::query_as("select seq_scan, seq_tup_read from pg_stat_user_tables where relname = 'patient'")
        .fetch_one(pool)
        .await
        .expect("statistics")
}

#[tokio::test]
async fn no_page_needs_a_sequential_scan() {
    let Some(app) = TestApp::start().await else { return };
    // One connection, so that it reports the statistics of all pages.
    let pool: Pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect(&app.database.url)
        .await
        .expect("a pool")
        .into();
    fill(&pool, ROWS).await;
    let rare = app.create("Zebulon Quixote").await;
    let (_, before) = scans(&pool).await;
    for sort in Sort::ALL {
        for text in [
            None,
            Some("zebulon"),
            Some("main street"),
            Some("no such name"),
            Some("z"),
            Some("小龙"),
            Some("QUIXÓTE"),
        ] {
            let search = Search::parse(text).expect("a search");
            let mut after = None;
            for depth in 0..3 {
                let params = ListParams {
                    search: search.as_ref(),
                    sort,
                    limit: 20,
                    after: after.as_ref(),
                };
                let (patients, _) = list::read(&pool, params).await.expect("a page");
                assert!(
                    !matches!(text, Some("zebulon" | "QUIXÓTE")) || depth > 0 || patients.len() == 1,
                    "{sort:?}"
                );
                match patients.get(20) {
                    Some(_) => after = Some(sort.cursor_behind(&patients[19])),
                    None => break,
                }
            }
        }
    }
    // Only the count of a frequent search may scan the table, and it stops at its maximum.
    let (_, after) = scans(&pool).await;
    let max = i64::from(ROWS) * 2;
    assert!(
        after - before < max,
        "{} rows were read by sequential scans",
        after - before
    );
    pool.close().await;
    let found = app.get("/patients?search=Zebulon%20quix").await;
    assert_eq!(
        (found.header("x-total-count"), found.header("x-total-count-relation")),
        ("1", "eq")
    );
    assert_eq!(found.body[0]["id"], rare["id"]);
    let many = app.get("/patients?search=main%20street").await;
    assert_eq!(
        (many.header("x-total-count"), many.header("x-total-count-relation")),
        ("1000", "gte")
    );
    app.database.drop().await;
}

#[tokio::test]
async fn the_total_is_exact_after_creations_deletions_and_rollbacks() {
    let Some(app) = TestApp::start().await else { return };
    let names: Vec<String> = (0..12).map(|n| format!("Patient {n}")).collect();
    let created = futures::future::join_all(names.iter().map(|name| app.create(name))).await;
    let path = path_of(&created[0]);
    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    // A duplicate email address rolls its transaction back.
    let mut duplicate = patient("Patient 1");
    duplicate["email"] = created[1]["email"].clone();
    assert_eq!(app.call(Method::POST, "/patients", Some(duplicate)).await.status, 409);
    let page = app.get("/patients?limit=1").await;
    assert_eq!(page.header("x-total-count"), "11");
    let counted: (i64, i64) =
        sqlx::query_as("select (select count(*) from patient), (select sum(patients)::bigint from patient_count)")
            .fetch_one(&app.database.pool)
            .await
            .expect("both counts");
    assert_eq!(counted, (11, 11));
    assert_eq!(page.body.as_array().map(Vec::len), Some(1), "{}", json!(page.body));
    app.database.drop().await;
}
