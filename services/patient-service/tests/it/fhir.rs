//! The FHIR API: resources, searches, errors, audit records, and their validity by the specification's schema.

use http::{Method, StatusCode};
use kit::Role;
use kit::testing::{audit_records, check_fhir};
use serde_json::{Value, json};

use crate::support::{TestApp, TestResponse, patient};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn id(patient: &Value) -> &str {
    patient["id"].as_str().expect("an id")
}

/// Returns the names of the patients of a bundle.
fn names(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let mut names: Vec<&str> = entries
        .filter_map(|entry| entry["resource"]["name"][0]["text"].as_str())
        .collect();
    names.sort_unstable();
    names
}

fn link<'a>(bundle: &'a Value, relation: &str) -> Option<&'a str> {
    let mut links = bundle["link"].as_array().into_iter().flatten();
    links.find(|link| link["relation"] == relation)?["url"].as_str()
}

fn assert_outcome(response: &TestResponse, status: u16, code: &str) {
    assert_eq!(response.status.as_u16(), status, "{}", response.body);
    assert_eq!(response.header("content-type"), "application/fhir+json");
    assert_eq!(
        (&response.body["resourceType"], &response.body["issue"][0]["code"]),
        (&json!("OperationOutcome"), &json!(code))
    );
}

async fn search(app: &TestApp, query: &str) -> Value {
    let response = app.get(&format!("/fhir/Patient?{query}")).await;
    assert_eq!(response.status, StatusCode::OK, "{query}: {}", response.body);
    response.body
}

#[tokio::test]
async fn a_patient_is_read_with_its_version_and_time() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let path = format!("/fhir/Patient/{}", id(&ada));
    let read = app.get(&path).await;
    assert_eq!(
        (read.status, read.header("content-type"), read.header("etag")),
        (StatusCode::OK, "application/fhir+json", "W/\"1\"")
    );
    assert!(read.header("last-modified").ends_with(" GMT"));
    assert_eq!(
        (
            &read.body["resourceType"],
            &read.body["meta"]["versionId"],
            &read.body["name"][0]["text"]
        ),
        (&json!("Patient"), &json!("1"), &json!("Ada"))
    );
    let same = app
        .call_with(Method::GET, &path, None, &[("if-none-match", "W/\"1\"")])
        .await;
    assert_eq!(
        (same.status, same.header("etag")),
        (StatusCode::NOT_MODIFIED, "W/\"1\"")
    );
    app.call(Method::PUT, &format!("/patients/{}", id(&ada)), Some(patient("Bea")))
        .await;
    let read = app
        .call_with(Method::GET, &path, None, &[("if-none-match", "W/\"1\"")])
        .await;
    assert_eq!(
        (read.status, &read.body["meta"]["versionId"]),
        (StatusCode::OK, &json!("2"))
    );
    app.call(Method::DELETE, &format!("/patients/{}", id(&ada)), None).await;
    assert_outcome(&app.get(&path).await, 404, "not-found");
    app.database.drop().await;
}

#[tokio::test]
async fn each_parameter_finds_its_patients() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada Lovelace").await;
    let mut emile = patient("Émile Zola");
    emile["dateOfBirth"] = json!("1940-04-02");
    emile["email"] = json!("zola@example.org");
    emile["address"] = json!("7 Lovelace Road");
    app.call(Method::POST, "/patients", Some(emile)).await;
    let both = ["Ada Lovelace", "Émile Zola"];
    let ada_only = ["Ada Lovelace"];
    let zola_only = ["Émile Zola"];
    let id = id(&ada);
    for (query, expected) in [
        (String::new(), &both[..]),
        ("name=LOVE".into(), &ada_only),
        ("name=ada%20lov".into(), &ada_only),
        ("name=lace".into(), &[]),
        ("name=emile".into(), &zola_only),
        ("name=x,emile".into(), &zola_only),
        ("name=z".into(), &zola_only),
        ("name=ada&name=zola".into(), &[]),
        ("family=zola".into(), &zola_only),
        ("name:exact=Ada%20Lovelace".into(), &ada_only),
        ("name:exact=Ada".into(), &[]),
        ("birthdate=1990-05-17".into(), &ada_only),
        ("birthdate=1990".into(), &ada_only),
        ("birthdate=lt1990".into(), &zola_only),
        ("birthdate=ge1940-04&birthdate=le1990-05".into(), &both),
        ("birthdate=ne1990-05".into(), &zola_only),
        ("birthdate=1990,1940".into(), &both),
        ("email=ADA.lovelace@example.org".into(), &ada_only),
        (format!("_id={id}"), &ada_only),
        (format!("_id={id},nothing"), &ada_only),
        ("_id=nothing".into(), &[]),
        (format!("identifier=urn:ietf:rfc:3986%7Curn:uuid:{id}"), &ada_only),
        (format!("identifier=other%7Curn:uuid:{id}"), &[]),
        ("name=ada&birthdate=1940".into(), &[]),
    ] {
        let bundle = search(&app, &query).await;
        assert_eq!(names(&bundle), expected, "{query}");
        assert_eq!(bundle["total"], json!(expected.len()), "{query}");
        let counted = search(&app, &format!("{query}&_count=0")).await;
        assert_eq!(
            (&counted["total"], counted.get("entry")),
            (&json!(expected.len()), None),
            "{query}"
        );
    }
    app.database.drop().await;
}

#[tokio::test]
async fn pages_follow_the_link_and_no_address_or_cursor_shows_what_was_searched_for() {
    let Some(app) = TestApp::start().await else { return };
    for name in ["Ada One", "Ada Two", "Ada Three", "Ada Four", "Ada Five", "Bob Six"] {
        app.create(name).await;
    }
    let host = [
        FORM,
        ("x-forwarded-host", "records.example.org"),
        ("x-forwarded-proto", "https"),
    ];
    let first = app
        .post(
            "/fhir/Patient/_search?_count=2",
            &host,
            "name=Ada&birthdate=1990".into(),
        )
        .await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let mut bundle = first.body;
    assert_eq!(
        link(&bundle, "self"),
        Some("https://records.example.org/fhir/Patient?_count=2&name=Ada&birthdate=1990")
    );
    let mut found: Vec<String> = Vec::new();
    let mut pages = 0;
    loop {
        pages += 1;
        assert!(pages <= 3);
        found.extend(names(&bundle).into_iter().map(str::to_owned));
        let url = bundle["entry"][0]["fullUrl"].as_str().expect("a URL");
        assert!(url.contains("/fhir/Patient/"), "{url}");
        let Some(next) = link(&bundle, "next") else { break };
        let path = next.find("/fhir/").map(|at| next[at..].to_owned()).expect("a path");
        assert!(path.starts_with("/fhir/Patient?cursor=") && !path.contains("Ada") && !path.contains("1990"));
        bundle = app.get(&path).await.body;
    }
    found.sort_unstable();
    assert_eq!(
        (pages, found),
        (
            3,
            ["Ada Five", "Ada Four", "Ada One", "Ada Three", "Ada Two"]
                .map(str::to_owned)
                .into()
        )
    );
    for query in ["cursor=x", "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_outcome(&app.get(&format!("/fhir/Patient?{query}")).await, 400, "invalid");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn errors_are_outcomes_and_the_format_is_json_only() {
    let Some(app) = TestApp::start().await else { return };
    for (path, status, code) in [
        ("/fhir/Patient?birthdate=x", 400, "invalid"),
        ("/fhir/Patient?name:contains=a", 400, "invalid"),
        ("/fhir/Patient?_count=-1", 400, "invalid"),
        ("/fhir/Patient?name=%00", 400, "invalid"),
        ("/fhir/Patient/no-uuid", 404, "not-found"),
        ("/fhir/Patient?_format=xml", 406, "not-supported"),
        ("/fhir/metadata?_format=xml", 406, "not-supported"),
        ("/fhir/Observation", 404, "not-found"),
    ] {
        assert_outcome(&app.get(path).await, status, code);
    }
    let xml = app
        .call_with(
            Method::GET,
            "/fhir/Patient",
            None,
            &[("accept", "application/fhir+xml")],
        )
        .await;
    assert_outcome(&xml, 406, "not-supported");
    let json = [("accept", "application/fhir+xml")];
    let json = app
        .call_with(Method::GET, "/fhir/Patient?_format=json", None, &json)
        .await;
    assert_eq!(json.status, StatusCode::OK);
    let strict = [("prefer", "handling=strict")];
    let strict = app
        .call_with(Method::GET, "/fhir/Patient?gender=male", None, &strict)
        .await;
    assert_outcome(&strict, 400, "invalid");
    let lenient = search(&app, "gender=male").await;
    assert_eq!(lenient["entry"][0]["search"]["mode"], "outcome");
    assert_outcome(&app.get_without_token("/fhir/Patient").await, 401, "login");
    assert_outcome(
        &app.call_as_auditor(Method::GET, "/fhir/Patient").await,
        403,
        "forbidden",
    );
    assert_outcome(
        &app.call(Method::DELETE, "/fhir/Patient", None).await,
        405,
        "not-supported",
    );
    let typed = app.call(Method::POST, "/fhir/Patient/_search", Some(json!({}))).await;
    assert_outcome(&typed, 415, "not-supported");
    app.database.drop().await;
}

#[tokio::test]
async fn every_request_but_that_of_the_statement_is_recorded_with_whom_it_showed() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let ada = id(&ada).parse().expect("an id");
    let before = audit_records(&app.database.pool).await.len();
    let statement = app.get_without_token("/fhir/metadata").await;
    assert_eq!(
        (statement.status, &statement.body["fhirVersion"]),
        (StatusCode::OK, &json!("4.0.1"))
    );
    app.get(&format!("/fhir/Patient/{ada}")).await;
    search(&app, "name=ada").await;
    app.post("/fhir/Patient/_search", &[FORM], "name=nobody".into()).await;
    app.call_as(Role::Auditor, Method::GET, "/fhir/Patient", None).await;
    app.get("/fhir/Patient?_format=xml").await;
    app.get("/fhir/Patient?birthdate=x").await;
    let records = audit_records(&app.database.pool).await.split_off(before);
    let found: Vec<_> = records
        .iter()
        .map(|record| {
            (
                &*record.route,
                &*record.action,
                record.outcome,
                record.patient,
                record.shown.clone(),
            )
        })
        .collect();
    let list = "GET /fhir/Patient";
    assert_eq!(
        found,
        [
            ("GET /fhir/Patient/{patient_id}", "READ", 200, Some(ada), vec![]),
            (list, "SEARCH", 200, None, vec![ada]),
            ("POST /fhir/Patient/_search", "SEARCH", 200, None, vec![]),
            (list, "SEARCH", 403, None, vec![]),
            (list, "SEARCH", 406, None, vec![]),
            (list, "SEARCH", 400, None, vec![]),
        ]
    );
    app.database.drop().await;
}

#[tokio::test]
async fn every_answer_is_valid_by_the_schema_of_the_specification() {
    let Some(app) = TestApp::start().await else { return };
    let mut resources = vec![app.get_without_token("/fhir/metadata").await.body];
    resources.push(search(&app, "name=nobody").await);
    let ada = app.create("Ada Lovelace").await;
    app.create("Ada King").await;
    for path in [
        &*format!("/fhir/Patient/{}", id(&ada)),
        "/fhir/Patient?_count=1&gender=female",
        "/fhir/Patient?_count=0",
        "/fhir/Patient?birthdate=x&_id=y",
        "/fhir/Patient/unknown",
        "/fhir/Patient?_format=xml",
    ] {
        resources.push(app.get(path).await.body);
    }
    resources.push(app.get_without_token("/fhir/Patient").await.body);
    app.database.drop().await;
    let kinds: Vec<&Value> = resources.iter().map(|resource| &resource["resourceType"]).collect();
    for kind in ["CapabilityStatement", "Patient", "Bundle", "OperationOutcome"] {
        assert!(kinds.contains(&&json!(kind)), "{kind}: {kinds:?}");
    }
    check_fhir(&resources);
}
