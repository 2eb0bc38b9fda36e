//! Lists stay on their indexes: on a table that is too large to be read whole for a page.

use http::Method;
use patient_service::patient::{list, list::Wanted, search::Search, sort::Sort};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{House, house, patient};

/// Enough that reading all of it is never the cheapest way to a page.
const ROWS: i32 = 50_000;

/// Patients that nobody has met: words from hashes, and one with a name of its own.
pub async fn fill(pool: &PgPool, rows: i32) {
    let insert = "insert into patient (id, name, email, address, date_of_birth, registered_date, version)
        select gen_random_uuid(), 'P' || translate(md5('n' || i), '0123456789', 'ghijklmnop'), md5('e' || i) || '@example.org',
            i || ' Main Street', date '1930-01-01' + i % 30000, date '2020-01-01' + i % 1500, 1
        from generate_series(1, $1) i";
    sqlx::query(insert).bind(rows).execute(pool).await.expect("rows");
    sqlx::query("analyze patient").execute(pool).await.expect("statistics");
}

/// What the database did for the pages so far: sequential scans of the table, and rows that they read.
async fn scans(pool: &PgPool) -> (i64, i64) {
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
async fn a_page_reads_as_many_rows_as_it_must_whatever_is_searched_and_however_deep_it_is() {
    let house = house!();
    // One connection, so that the statistics of all pages are its own.
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect(&house.database.url)
        .await
        .expect("a pool");
    fill(&pool, ROWS).await;
    let rare = house.create("Zebulon Quixote").await;
    let (_, before) = scans(&pool).await;
    for sort in Sort::ALL {
        for text in [
            None,
            Some("zebulon"),
            Some("main street"),
            Some("nobody at all"),
            Some("z"),
        ] {
            let search = Search::parse(text).expect("a search");
            let mut after = None;
            for depth in 0..3 {
                let wanted = Wanted {
                    search: search.as_ref(),
                    sort,
                    limit: 20,
                    after: after.as_ref(),
                };
                let page = list::page(&pool, wanted).await.expect("a page");
                assert!(
                    text != Some("zebulon") || depth > 0 || page.patients.len() == 1,
                    "{sort:?}"
                );
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
    }
    // Only the count of a frequent search may read the table as it lies, and stops at its bound.
    let (_, after) = scans(&pool).await;
    let most = i64::from(ROWS) * 2;
    assert!(
        after - before < most,
        "{} rows were read by sequential scans",
        after - before
    );
    pool.close().await;
    let found = house.call(Method::GET, "/patients?search=Zebulon%20quix", None).await;
    assert_eq!(
        (found.header("x-total-count"), found.header("x-total-count-relation")),
        ("1", "eq")
    );
    assert_eq!(found.body[0]["id"], rare["id"]);
    let many = house.call(Method::GET, "/patients?search=main%20street", None).await;
    assert_eq!(
        (many.header("x-total-count"), many.header("x-total-count-relation")),
        ("1000", "gte")
    );
    house.database.drop().await;
}

#[tokio::test]
async fn the_total_is_exact_through_creations_deletions_and_what_is_rolled_back() {
    let house = house!();
    let names: Vec<String> = (0..12).map(|n| format!("Patient {n}")).collect();
    let made = futures::future::join_all(names.iter().map(|name| house.create(name))).await;
    let path = format!("/patients/{}", made[0]["id"].as_str().expect("an id"));
    assert_eq!(house.call(Method::DELETE, &path, None).await.status, 204);
    // a name that is taken rolls its transaction back
    let mut taken = patient("Patient 1");
    taken["email"] = made[1]["email"].clone();
    assert_eq!(house.call(Method::POST, "/patients", Some(taken)).await.status, 409);
    let page = house.call(Method::GET, "/patients?limit=1", None).await;
    assert_eq!(page.header("x-total-count"), "11");
    let counted: (i64, i64) =
        sqlx::query_as("select (select count(*) from patient), (select sum(patients)::bigint from patient_count)")
            .fetch_one(&house.database.pool)
            .await
            .expect("both counts");
    assert_eq!(counted, (11, 11));
    assert_eq!(page.body.as_array().map(Vec::len), Some(1), "{}", json!(page.body));
    house.database.drop().await;
}
