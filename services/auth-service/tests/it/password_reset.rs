//! A new password by a link that is mailed.

use std::sync::Arc;

use auth_service::password_reset::handle_next;
use http::{Method, StatusCode};
use kit::mail::MailError;
use kit::testing::Mailbox;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::{ADMIN, PASSWORD, TestApp};

async fn start() -> Option<(TestApp, Mailbox)> {
    let mut app = TestApp::start().await?;
    let mailbox = Mailbox::default();
    app.state.mailer = Some(Arc::new(mailbox.clone()));
    app.state.password_reset_url = Some("https://clinic.example/new-password".into());
    Some((app, mailbox))
}

impl TestApp {
    async fn request_reset(&self, email: &str) -> (StatusCode, Value) {
        self.post("/password/reset-request", json!({ "email": email })).await
    }

    async fn reset(&self, token: &str, password: &str) -> (StatusCode, Value) {
        let body = json!({ "token": token, "newPassword": password });
        self.post("/password/reset", body).await
    }

    /// Handles all requests that are due at this time.
    async fn deliver(&self, mailbox: &Mailbox, now: OffsetDateTime) {
        while handle_next(&self.state, mailbox, now).await.unwrap() {}
    }
}

/// Returns the token of the newest mail.
fn token(mailbox: &Mailbox) -> String {
    let body = mailbox.sent().pop().expect("a mail").body;
    let (_, rest) = body
        .split_once("https://clinic.example/new-password#token=")
        .expect("a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_sets_a_new_password_once_and_ends_the_sessions() {
    let Some((app, mailbox)) = start().await else { return };
    let session = app.admin_token().await;
    assert_eq!(app.request_reset(" TestUser@test.com").await.0, StatusCode::ACCEPTED);
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    let mails = mailbox.sent_to(ADMIN);
    assert_eq!(mails.len(), 1);
    let token = token(&mailbox);
    assert_eq!(token.len(), 43, "256 bits");
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select digest from password_resets")
        .fetch_all(&app.database.pool)
        .await
        .unwrap();
    assert_eq!((stored.len(), stored[0].len()), (1, 32), "a digest only");
    assert_eq!(
        app.login(ADMIN, PASSWORD).await.0,
        StatusCode::OK,
        "the password is unchanged"
    );

    let (status, problem) = app.reset(&token, "short").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["errors"]["newPassword"].is_string(), "{problem}");
    assert_eq!(app.reset(&token, "battery staple").await.0, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/validate", Some(&session)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.login(ADMIN, "battery staple").await.0, StatusCode::OK);
    let (status, problem) = app.reset(&token, "another one").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "used");
    assert!(problem["errors"]["token"].is_string(), "{problem}");
    assert_eq!(app.reset("", "another one").await.0, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

#[tokio::test]
async fn a_second_request_replaces_the_first_and_a_token_expires() {
    let Some((app, mailbox)) = start().await else { return };
    app.request_reset(ADMIN).await;
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    let first = token(&mailbox);
    app.request_reset(ADMIN).await;
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    assert_eq!(app.reset(&first, "battery staple").await.0, StatusCode::BAD_REQUEST);
    // As if 31 minutes had passed.
    sqlx::query("update password_resets set expires_at = expires_at - interval '31 minutes'")
        .execute(&app.database.pool)
        .await
        .unwrap();
    let second = token(&mailbox);
    assert_eq!(app.reset(&second, "battery staple").await.0, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

#[tokio::test]
async fn of_concurrent_uses_of_a_token_one_succeeds() {
    let Some((app, mailbox)) = start().await else { return };
    app.request_reset(ADMIN).await;
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    let token = token(&mailbox);
    let uses = tokio::join!(
        app.reset(&token, "battery staple 1"),
        app.reset(&token, "battery staple 2"),
        app.reset(&token, "battery staple 3")
    );
    let succeeded = [uses.0.0, uses.1.0, uses.2.0];
    let count = succeeded.iter().filter(|status| **status == StatusCode::NO_CONTENT);
    assert_eq!(count.count(), 1, "{succeeded:?}");
    app.database.drop().await;
}

#[tokio::test]
async fn a_request_does_not_tell_whether_there_is_an_account_and_is_throttled_alike() {
    let Some((app, mailbox)) = start().await else { return };
    let mut responses = Vec::new();
    for email in [ADMIN, "unknown@example.org"] {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let (status, headers, body) = app
                .send(Method::POST, "/password/reset-request", None, json!({ "email": email }))
                .await;
            statuses.push((status, headers.get("retry-after").cloned(), body));
        }
        responses.push(statuses);
    }
    assert_eq!(responses[0], responses[1]);
    assert_eq!(responses[0][2].0, StatusCode::ACCEPTED);
    assert_eq!(responses[0][3].0, StatusCode::TOO_MANY_REQUESTS);
    // Both are stored, encrypted, until they are handled.
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select sealed_email from password_reset_requests")
        .fetch_all(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(stored.len(), 6);
    assert!(
        !stored
            .iter()
            .any(|sealed| sealed.windows(4).any(|part| part == b"test"))
    );
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    assert_eq!((mailbox.sent_to(ADMIN).len(), mailbox.sent().len()), (3, 3));
    let rest: i64 = sqlx::query_scalar("select count(*) from password_reset_requests")
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(rest, 0);
    let (status, _) = app.request_reset("not an address").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

#[tokio::test]
async fn a_mail_that_is_not_taken_is_sent_later_with_a_valid_token() {
    let Some((app, mailbox)) = start().await else { return };
    app.request_reset(ADMIN).await;
    let now = OffsetDateTime::now_utc();
    mailbox.fail(Some(MailError::Unavailable("away".to_owned())));
    app.deliver(&mailbox, now).await;
    mailbox.fail(None);
    app.deliver(&mailbox, now + Duration::seconds(5)).await;
    assert_eq!(mailbox.sent().len(), 0, "not due yet");
    app.deliver(&mailbox, now + Duration::minutes(1)).await;
    assert_eq!(mailbox.sent().len(), 1);
    assert_eq!(
        app.reset(&token(&mailbox), "battery staple").await.0,
        StatusCode::NO_CONTENT
    );
    // After half an hour it is given up, and a disabled user gets none.
    app.request_reset(ADMIN).await;
    app.deliver(&mailbox, OffsetDateTime::now_utc() + Duration::minutes(31))
        .await;
    let disable = "update users set disabled_at = now()";
    sqlx::query(disable).execute(&app.database.pool).await.unwrap();
    app.request_reset(ADMIN).await;
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    assert_eq!(mailbox.sent().len(), 1);
    app.database.drop().await;
}

#[tokio::test]
async fn an_administrator_forces_a_new_password() {
    let Some((mut app, mailbox)) = start().await else {
        return;
    };
    let admin = app.admin_token().await;
    let new = json!({ "email": "nurse@example.org", "password": "longenough1" });
    let (_, created) = app.post("/signup", new).await;
    let nurse = app.token("nurse@example.org", "longenough1").await;
    let path = format!("/users/{}/password/reset", created["id"].as_str().unwrap());
    let (status, ..) = app.send(Method::POST, &path, Some(&nurse), Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, ..) = app.send(Method::POST, &path, Some(&admin), Value::Null).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(app.get("/validate", Some(&nurse)).await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = app.login("nurse@example.org", "longenough1").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the former password");
    app.deliver(&mailbox, OffsetDateTime::now_utc()).await;
    assert_eq!(mailbox.sent_to("nurse@example.org").len(), 1);
    assert_eq!(
        app.reset(&token(&mailbox), "battery staple").await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(app.login("nurse@example.org", "battery staple").await.0, StatusCode::OK);

    let own_id = app.state.keyring.verifier().verify(&admin).await.unwrap().sub;
    let unknown = "00000000-0000-4000-8000-000000000000".to_owned();
    for (id, expected) in [
        (own_id.to_string(), StatusCode::CONFLICT),
        (unknown, StatusCode::NOT_FOUND),
    ] {
        let path = format!("/users/{id}/password/reset");
        let (status, ..) = app.send(Method::POST, &path, Some(&admin), Value::Null).await;
        assert_eq!(status, expected, "{id}");
    }
    app.state.mailer = None;
    let (status, ..) = app.send(Method::POST, &path, Some(&admin), Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT, "no mail can be sent");
    assert_eq!(app.login("nurse@example.org", "battery staple").await.0, StatusCode::OK);
    assert_eq!(app.request_reset(ADMIN).await.0, StatusCode::ACCEPTED);
    app.database.drop().await;
}
