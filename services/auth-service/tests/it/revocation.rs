//! The end of sessions: each way to it ends the access of their tokens, here and at every verifier.

use std::sync::Arc;
use std::time::Duration;

use auth_service::revocation::RevocationFeed;
use auth_service::{AppState, router};
use http::{Method, StatusCode};
use kit::testing::{AUDIENCE, wait_until};
use kit::{Claims, Verifier};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{ADMIN, PASSWORD, TestApp};

const LIMIT: Duration = Duration::from_secs(20);

/// A user with a session.
struct Member {
    id: Uuid,
    email: String,
    session: Value,
    claims: Claims,
}

impl Member {
    async fn start(app: &TestApp, email: &str) -> Self {
        let new = json!({ "email": email, "password": "longenough1" });
        let (status, created) = app.post("/signup", new).await;
        assert_eq!(status, StatusCode::CREATED);
        let session = app.login(email, "longenough1").await.1;
        let token = session["token"].as_str().unwrap();
        let claims = app.state.keyring.verifier().verify(token).await.unwrap();
        Self {
            id: created["id"].as_str().unwrap().parse().unwrap(),
            email: email.to_owned(),
            claims,
            session,
        }
    }

    fn token(&self) -> &str {
        self.session["token"].as_str().unwrap()
    }

    fn refresh(&self) -> Value {
        json!({ "refreshToken": self.session["refreshToken"] })
    }
}

/// Returns the sessions that a replica publishes as ended.
async fn ended(app: &TestApp, since: &str) -> Vec<Uuid> {
    let (status, _, feed) = app.get(&format!("/revoked-sessions{since}"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(feed.as_object().unwrap().len(), 2, "ids and a time only: {feed}");
    serde_json::from_value(feed["sessions"].clone()).unwrap()
}

#[tokio::test]
async fn every_way_to_the_end_of_a_session_revokes_its_access_token() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let bystander = Member::start(&app, "bystander@example.org").await;
    let ways = [
        "logout",
        "reuse",
        "disabled",
        "role",
        "deleted",
        "by an administrator",
        "one of the own",
        "everywhere",
        "password",
    ];
    for (at, way) in ways.into_iter().enumerate() {
        let member = Member::start(&app, &format!("member{at}@example.org")).await;
        let other = app.token(&member.email, "longenough1").await;
        let user = format!("/users/{}", member.id);
        let (method, path, token, body) = match way {
            "logout" => (Method::POST, "/logout".to_owned(), None, member.refresh()),
            "reuse" => {
                assert_eq!(app.post("/refresh", member.refresh()).await.0, StatusCode::OK);
                (Method::POST, "/refresh".to_owned(), None, member.refresh())
            }
            "disabled" => (Method::PATCH, user, Some(&admin), json!({ "disabled": true })),
            "role" => (Method::PATCH, user, Some(&admin), json!({ "role": "AUDITOR" })),
            "deleted" => (Method::DELETE, user, Some(&admin), Value::Null),
            "by an administrator" => (Method::DELETE, format!("{user}/sessions"), Some(&admin), Value::Null),
            "one of the own" => {
                let path = format!("/sessions/{}", member.claims.sid);
                (Method::DELETE, path, Some(&other), Value::Null)
            }
            "everywhere" => (Method::DELETE, "/sessions".to_owned(), Some(&other), Value::Null),
            _ => {
                let body = json!({ "currentPassword": "longenough1", "newPassword": "longenough2" });
                (Method::PUT, "/password".to_owned(), Some(&other), body)
            }
        };
        assert_eq!(
            app.get("/validate", Some(member.token())).await.0,
            StatusCode::OK,
            "{way}"
        );
        let (status, ..) = app.send(method, &path, token.map(String::as_str), body).await;
        assert!(status.is_success() || way == "reuse", "{way}: {status}");

        let validated = app.get("/validate", Some(member.token())).await.0;
        assert_eq!(validated, StatusCode::UNAUTHORIZED, "{way}");
        let refreshed = app.post("/refresh", member.refresh()).await.0;
        assert_eq!(refreshed, StatusCode::UNAUTHORIZED, "{way}");
        let is_published = || async { ended(&app, "").await.contains(&member.claims.sid) };
        wait_until(way, LIMIT, is_published).await;
        let ends_all = !matches!(way, "logout" | "reuse" | "one of the own" | "password");
        let (validated, ..) = app.get("/validate", Some(&other)).await;
        assert_eq!(
            validated == StatusCode::UNAUTHORIZED,
            ends_all,
            "{way}: the other session"
        );
    }
    assert_eq!(app.get("/validate", Some(bystander.token())).await.0, StatusCode::OK);
    assert!(!ended(&app, "").await.contains(&bystander.claims.sid));
    app.database.drop().await;
}

#[tokio::test]
async fn a_verifier_elsewhere_rejects_the_token_of_a_session_that_ended_at_another_replica() {
    let Some(app) = TestApp::start().await else { return };
    let replica = AppState {
        revocations: Arc::new(RevocationFeed::new(app.database.pool.clone())),
        ..app.state.clone()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router(replica)).await });
    let verifier = Verifier::new(&url, AUDIENCE).unwrap();
    let shutdown = CancellationToken::new();
    let following = tokio::spawn(verifier.clone().follow_revocations(shutdown.clone()));

    let (ending, staying) = (app.login(ADMIN, PASSWORD).await.1, app.admin_token().await);
    let token = ending["token"].as_str().unwrap();
    assert!(verifier.verify(token).await.is_ok());
    let refresh = json!({ "refreshToken": ending["refreshToken"] });
    assert_eq!(app.post("/logout", refresh).await.0, StatusCode::NO_CONTENT);
    let is_rejected = || async { verifier.verify(token).await.is_err() };
    wait_until("the rejection of the token", LIMIT, is_rejected).await;
    assert!(verifier.verify(&staying).await.is_ok());
    shutdown.cancel();
    following.await.unwrap().unwrap();
    app.database.drop().await;
}

#[tokio::test]
async fn the_list_of_ended_sessions_is_incremental_and_forgets_what_has_expired() {
    let Some(app) = TestApp::start().await else { return };
    let pool = &app.database.pool;
    let [expired, old, new] = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    for (session, age) in [(expired, 3000.0), (old, 600.0), (new, 0.0)] {
        sqlx::query("insert into revoked_sessions values ($1, now() - make_interval(secs => $2))")
            .bind(session)
            .bind(age)
            .execute(pool)
            .await
            .unwrap();
    }
    let (_, _, feed) = app.get("/revoked-sessions", None).await;
    let all = ended(&app, "").await;
    assert!(all.contains(&old) && all.contains(&new) && !all.contains(&expired));
    let since = feed["until"].as_i64().unwrap() - 30;
    assert_eq!(ended(&app, &format!("?since={since}")).await, [new]);
    let (status, ..) = app.get("/revoked-sessions?since=x", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

#[tokio::test]
async fn a_login_that_is_overtaken_by_the_disabling_of_its_user_starts_no_session() {
    let Some(app) = TestApp::start().await else { return };
    let mut change = app.database.pool.begin().await.unwrap();
    sqlx::query("select from users for update")
        .execute(&mut *change)
        .await
        .unwrap();
    let disabling = async {
        let blocked = || crate::sessions::is_blocked(&app.database.pool);
        wait_until("a login that waits", LIMIT, blocked).await;
        sqlx::query("update users set disabled_at = now()")
            .execute(&mut *change)
            .await
            .unwrap();
        change.commit().await.unwrap();
    };
    let ((status, _), ()) = tokio::join!(app.login(ADMIN, PASSWORD), disabling);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    app.database.drop().await;
}

#[tokio::test]
async fn a_user_sees_the_own_sessions_and_ends_them() {
    let Some(app) = TestApp::start().await else { return };
    let member = Member::start(&app, "member@example.org").await;
    let (status, second) = app.post("/refresh", member.refresh()).await;
    assert_eq!(status, StatusCode::OK);
    let other = app.login("member@example.org", "longenough1").await.1;
    let stranger = Member::start(&app, "stranger@example.org").await;
    let token = second["token"].as_str();
    let (status, headers, sessions) = app.get("/sessions", token).await;
    assert_eq!(
        (status, &headers["x-total-count"]),
        (StatusCode::OK, &"2".parse().unwrap())
    );
    let current: Vec<bool> = sessions
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["current"].as_bool().unwrap())
        .collect();
    assert_eq!(current, [false, true], "the newest first: {sessions}");
    let own = &sessions[1];
    assert_eq!(own["id"], json!(member.claims.sid), "a refresh continues the session");
    assert!(own["lastUsedAt"].as_str() > own["createdAt"].as_str(), "{own}");

    let end = async |id: &str, token| {
        app.send(Method::DELETE, &format!("/sessions/{id}"), token, Value::Null)
            .await
    };
    let foreign = end(&stranger.claims.sid.to_string(), token).await;
    assert_eq!(foreign.0, StatusCode::NOT_FOUND);
    assert_eq!(app.get("/validate", Some(stranger.token())).await.0, StatusCode::OK);
    let newest = sessions[0]["id"].as_str().unwrap();
    assert_eq!(end(newest, token).await.0, StatusCode::NO_CONTENT);
    assert_eq!(end(newest, token).await.0, StatusCode::NOT_FOUND);
    let validated = app.get("/validate", other["token"].as_str()).await.0;
    assert_eq!(validated, StatusCode::UNAUTHORIZED);
    let (_, _, sessions) = app.get("/sessions", token).await;
    assert_eq!(sessions.as_array().map(Vec::len), Some(1));
    assert_eq!(app.get("/sessions", None).await.0, StatusCode::UNAUTHORIZED);
    app.database.drop().await;
}
