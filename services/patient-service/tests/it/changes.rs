//! Conditional requests, the history of a patient, and its export.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, TestResponse, path_of, patient};

#[tokio::test]
async fn a_read_is_304_for_a_known_version_and_a_change_of_it_412() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let ada = app.create("Ada").await;
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    assert_eq!(family.header("etag"), "\"1\"");
    let family = format!("/families/{}", family.body["id"].as_str().expect("an id"));
    for (path, body) in [(path_of(&ada), patient("Ada")), (family, json!({"name": "Lovelace"}))] {
        let send = async |method: Method, name: &str, value: &str| {
            let body = (method == Method::PUT).then(|| body.clone());
            app.call_with(method, &path, body, &[(name, value)]).await
        };
        for known in ["\"1\"", "W/\"1\"", "*", "\"7\", \"1\""] {
            let response = send(Method::GET, "if-none-match", known).await;
            assert_eq!(
                (response.status, response.header("etag"), &response.body),
                (StatusCode::NOT_MODIFIED, "\"1\"", &Value::Null),
                "{known}"
            );
            for method in [Method::PUT, Method::DELETE] {
                assert_eq!(
                    send(method, "if-none-match", known).await.status,
                    StatusCode::PRECONDITION_FAILED,
                    "{known}"
                );
            }
        }
        assert_eq!(send(Method::GET, "if-none-match", "\"7\"").await.status, StatusCode::OK);
        for stale in ["\"7\"", "W/\"1\""] {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                assert_eq!(
                    send(method, "if-match", stale).await.status,
                    StatusCode::PRECONDITION_FAILED,
                    "{stale}"
                );
            }
        }
        let changed = send(Method::PUT, "if-match", "\"1\"").await;
        assert_eq!(
            (changed.status, changed.header("etag")),
            (StatusCode::OK, "\"2\""),
            "{}",
            changed.body
        );
        assert_eq!(
            send(Method::DELETE, "if-match", "\"2\"").await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            send(Method::GET, "if-none-match", "*").await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            send(Method::PUT, "if-none-match", "*").await.status,
            StatusCode::NOT_FOUND
        );
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_patient_whose_account_is_pending_is_always_sent() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let known = [("if-none-match", "\"1\"")];
    let read = app.call_with(Method::GET, &path_of(&ada), None, &known).await;
    assert_eq!(
        (read.status, &read.body["billing"]["status"]),
        (StatusCode::OK, &json!("PENDING"))
    );
    app.database.drop().await;
}

#[tokio::test]
async fn a_registration_is_neither_in_the_future_nor_before_birth() {
    let Some(app) = TestApp::start().await else { return };
    let with = |birth: &str, registered: Option<&str>| {
        let mut body = patient("Ada");
        body["dateOfBirth"] = json!(birth);
        body["registeredDate"] = json!(registered);
        body
    };
    let message = |response: &TestResponse| response.body["errors"]["registeredDate"].clone();
    let before = "Registered date cannot be before the date of birth";
    for (registered, expected) in [
        ("0001-01-01", before),
        ("1980-01-01", before),
        ("9999-12-31", "Registered date cannot be in the future"),
    ] {
        let response = app
            .call(Method::POST, "/patients", Some(with("1990-05-17", Some(registered))))
            .await;
        assert_eq!(
            (response.status, message(&response)),
            (StatusCode::BAD_REQUEST, json!(expected))
        );
    }
    let ada = app
        .call(Method::POST, "/patients", Some(with("1990-05-17", Some("2024-01-10"))))
        .await;
    assert_eq!(ada.status, StatusCode::CREATED, "{}", ada.body);
    let path = path_of(&ada.body);
    // A change of one of both is checked against the other.
    let response = app.call(Method::PUT, &path, Some(with("2024-01-11", None))).await;
    assert_eq!(
        (response.status, message(&response)),
        (StatusCode::BAD_REQUEST, json!(before))
    );
    let response = app
        .call(Method::PUT, &path, Some(with("1990-05-17", Some("1990-05-16"))))
        .await;
    assert_eq!(
        (response.status, message(&response)),
        (StatusCode::BAD_REQUEST, json!(before))
    );
    let response = app.call(Method::PUT, &path, Some(with("2024-01-10", None))).await;
    assert_eq!(
        (response.status, &response.body["version"]),
        (StatusCode::OK, &json!(2))
    );
    app.database.drop().await;
}

#[tokio::test]
async fn the_history_says_who_changed_which_fields_and_is_erased_with_the_patient() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let path = format!("{}/history", path_of(&ada));
    let mut changed = patient("Ada King");
    changed["address"] = ada["address"].clone();
    app.call(Method::PUT, &path_of(&ada), Some(changed.clone())).await;
    app.call(Method::PUT, &path_of(&ada), Some(changed)).await;

    let history = app.get(&format!("{path}?limit=2")).await;
    assert_eq!(
        (history.status, history.header("x-total-count")),
        (StatusCode::OK, "3"),
        "{}",
        history.body
    );
    let fields = |at: usize| history.body[at]["fields"].clone();
    assert_eq!(
        fields(0),
        json!(["name", "email", "address", "dateOfBirth", "registeredDate"])
    );
    assert_eq!(fields(1), json!(["name", "email"]));
    assert_eq!(history.body[1]["role"], "ADMIN");
    assert!(history.body[1]["userId"].is_string() && history.body[1]["changedAt"].is_string());
    assert!(!history.body.to_string().contains("King"), "no values");
    let second = app.get(history.next_page().expect("a second page")).await;
    assert_eq!(
        (&second.body[0]["version"], &second.body[0]["fields"]),
        (&json!(3), &json!([]))
    );

    assert_eq!(app.call_as_auditor(Method::GET, &path).await.status, StatusCode::OK);
    assert_eq!(app.call_as_user(Method::GET, &path).await.status, StatusCode::FORBIDDEN);
    app.call(Method::DELETE, &path_of(&ada), None).await;
    assert_eq!(app.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.count("select count(*) from patient_change").await, 0);
    app.database.drop().await;
}

#[tokio::test]
async fn the_export_has_everything_about_one_person_and_nothing_about_others() {
    let Some(app) = TestApp::start().await else { return };
    let (ada, bea) = (app.create("Ada").await, app.create("Bea").await);
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    for patient in [&ada, &bea] {
        let member = format!(
            "{}/members/{}",
            family.header("location"),
            patient["id"].as_str().expect("an id")
        );
        app.call(Method::PUT, &member, None).await;
    }
    let path = format!("{}/export", path_of(&ada));
    let export = app.get(&path).await;
    assert_eq!(export.status, StatusCode::OK, "{}", export.body);
    assert!(export.header("content-disposition").starts_with("attachment"));
    assert_eq!(export.body["patient"], ada);
    assert_eq!(
        export.body["families"],
        json!([{"id": family.body["id"], "name": "Byron"}])
    );
    assert_eq!(export.body["history"][0]["version"], 1);
    assert_eq!(export.body["billingIntent"]["desiredState"], "OPEN");
    assert_eq!(
        (&export.body["pendingEvents"], &export.body["idempotencyKeys"]),
        (&json!(1), &json!(0))
    );
    assert!(!export.body.to_string().contains("Bea"));
    assert_eq!(app.call_as_user(Method::GET, &path).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        app.call_as_auditor(Method::GET, &path).await.status,
        StatusCode::FORBIDDEN
    );
    app.call(Method::DELETE, &path_of(&ada), None).await;
    assert_eq!(app.get(&path).await.status, StatusCode::NOT_FOUND);
    app.database.drop().await;
}
