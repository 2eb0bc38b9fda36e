//! Properties of any input: bodies and query strings are responseed with 2xx or 4xx, and pages neither repeat nor lose
//! patients.

use std::collections::BTreeSet;

use http::Method;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::support::{TestApp, TestResponse, patient};

const FIELDS: [&str; 6] = ["name", "email", "address", "dateOfBirth", "registeredDate", "other"];

/// Tests a property with one service; without a database server it is skipped.
fn check<S: Strategy>(
    cases: u32,
    input: &S,
    property: impl Fn(&Runtime, &TestApp, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = Runtime::new().expect("a runtime");
    let Some(app) = runtime.block_on(TestApp::start()) else {
        return;
    };
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(input, |value| property(&runtime, &app, value))
        .unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(app.database.drop());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(vec![
            "1990-02-30",
            "+012345-01-01",
            "0000-00-00",
            "a@b.c",
            "",
            "\u{0}",
            "\u{202e}",
            "9999-12-31"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec(
                (
                    prop_oneof![any::<String>(), select(FIELDS.to_vec()).prop_map(str::to_owned)],
                    inner
                ),
                0..6
            )
            .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// A valid patient with one arbitrary field.
fn almost_a_patient() -> impl Strategy<Value = Value> {
    (select(FIELDS.to_vec()), any_json(), any::<u32>()).prop_map(|(field, value, number)| {
        let mut body = patient(&format!("Patient {number}"));
        body[field] = value;
        body
    })
}

fn check_response(response: &TestResponse) -> Result<(), TestCaseError> {
    let status = response.status.as_u16();
    prop_assert!(
        (200..300).contains(&status) || (400..500).contains(&status),
        "{status} {}",
        response.body
    );
    if status >= 400 {
        prop_assert_eq!(response.header("content-type"), "application/problem+json");
        prop_assert!(response.body["status"] == status, "{}", response.body);
    }
    Ok(())
}

#[test]
fn any_json_is_created_or_rejected() {
    let body = prop_oneof![any_json(), almost_a_patient()];
    check(
        256,
        &(body, select(vec!["/patients", "/families"])),
        |runtime, app, (body, path)| check_response(&runtime.block_on(app.call(Method::POST, path, Some(body)))),
    );
}

#[test]
fn any_bytes_and_any_query_are_answered() {
    let key = select(vec!["search", "sort", "limit", "cursor", "other"]);
    let query = vec((key, any::<String>()), 0..4);
    check(
        256,
        &(vec(any::<u8>(), 0..64), query),
        |runtime, app, (bytes, query)| {
            check_response(&runtime.block_on(app.send_bytes(Method::POST, "/patients", bytes)))?;
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(query)
                .finish();
            for path in ["/patients", "/families"] {
                check_response(&runtime.block_on(app.get(&format!("{path}?{query}"))))?;
            }
            Ok(())
        },
    );
}

/// A change between two pages.
#[derive(Debug, Clone)]
enum Step {
    Insert(&'static str, u8),
    /// Deletes the patient with this index, if it still exists.
    Delete(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few names and dates, so that keys are often equal; with upper case, accents and other scripts.
    let name = select(vec!["Ada", "ada", "Åda", "Zoë", "Ad a", "李", "O'Brien", "_"]);
    vec(
        prop_oneof![3 => (name, 0u8..4).prop_map(|(name, day)| Step::Insert(name, day)), 1 => any::<prop::sample::Index>().prop_map(Step::Delete)],
        1..40,
    )
}

#[test]
fn pages_repeat_no_patient_and_lose_none_that_existed_throughout() {
    let sort = select(vec!["name", "-name", "dateOfBirth", "registeredDate"]);
    let search = select(vec!["", "&search=a", "&search=ada", "&search=example.org"]);
    check(
        24,
        &(steps(), steps(), sort, search, 1usize..7),
        |runtime, app, (before, between, sort, search, limit)| {
            runtime.block_on(async {
                sqlx::query("delete from patient")
                    .execute(&app.database.pool)
                    .await
                    .expect("an empty table");
                let (mut created, mut deleted) = (Vec::new(), BTreeSet::new());
                for step in &before {
                    apply(app, step, &mut created, &mut deleted).await;
                }
                let first: Vec<Value> = created
                    .iter()
                    .filter(|patient| !deleted.contains(&id(patient)))
                    .cloned()
                    .collect();
                let mut between = between.iter();
                let mut listed: Vec<String> = Vec::new();
                let mut path = format!("/patients?sort={sort}&limit={limit}{search}");
                loop {
                    let page = app.get(&path).await;
                    prop_assert_eq!(page.status, 200);
                    listed.extend(page.body.as_array().expect("an array").iter().map(id));
                    match page.next_page() {
                        Some(next) => path = next.to_owned(),
                        None => break,
                    }
                    if let Some(step) = between.next() {
                        apply(app, step, &mut created, &mut deleted).await;
                    }
                }
                let once: BTreeSet<&String> = listed.iter().collect();
                prop_assert_eq!(once.len(), listed.len(), "a patient is on two pages");
                for patient in first
                    .iter()
                    .filter(|patient| !deleted.contains(&id(patient)) && matches(patient, search))
                {
                    prop_assert!(once.contains(&id(patient)), "{} is on no page", patient["name"]);
                }
                Ok(())
            })
        },
    );
}

fn id(patient: &Value) -> String {
    patient["id"].as_str().expect("an id").to_owned()
}

/// Returns true if the search certainly finds this patient of [`apply`].
fn matches(patient: &Value, search: &str) -> bool {
    let name = patient["name"].as_str().unwrap_or_default().to_lowercase();
    match search {
        "&search=a" | "&search=ada" => name == "ada",
        _ => true,
    }
}

async fn apply(app: &TestApp, step: &Step, created: &mut Vec<Value>, deleted: &mut BTreeSet<String>) {
    match step {
        Step::Insert(name, day) => {
            let body = json!({
                "name": name, "email": format!("x{}@example.org", uuid::Uuid::new_v4().simple()), "address": "1 Oak St",
                "dateOfBirth": format!("1990-01-0{}", day + 1), "registeredDate": format!("2020-01-0{}", day + 1),
            });
            let response = app.call(Method::POST, "/patients", Some(body)).await;
            assert_eq!(response.status, 201, "{}", response.body);
            created.push(response.body);
        }
        Step::Delete(index) if !created.is_empty() => {
            let patient = id(index.get(created));
            if deleted.insert(patient.clone()) {
                app.call(Method::DELETE, &format!("/patients/{patient}"), None).await;
            }
        }
        Step::Delete(_) => {}
    }
}
