//! Refresh tokens, and what ends a session.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN, PASSWORD, Service};

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_family() {
    let Some(service) = Service::start().await else { return };
    let refresh = |token: &Value| json!({ "refreshToken": token });
    let first = service.login(ADMIN, PASSWORD).await.1;
    let other = service.login(ADMIN, PASSWORD).await.1;
    let (status, second) = service.post("/refresh", refresh(&first["refreshToken"])).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(second["refreshToken"], first["refreshToken"]);
    assert_eq!(
        service.post("/refresh", refresh(&first["refreshToken"])).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        service.post("/refresh", refresh(&second["refreshToken"])).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, other) = service.post("/refresh", refresh(&other["refreshToken"])).await;
    assert_eq!(status, StatusCode::OK, "another login is another family");
    assert_eq!(
        service.post("/logout", refresh(&other["refreshToken"])).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        service.post("/refresh", refresh(&other["refreshToken"])).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(service.post("/refresh", json!({})).await.0, StatusCode::BAD_REQUEST);
    service.database.drop().await;
}

#[tokio::test]
async fn of_two_uses_at_the_same_instant_one_wins_and_the_family_ends() {
    let Some(service) = Service::start().await else { return };
    for round in 0..5 {
        let session = service.login(ADMIN, PASSWORD).await.1;
        let refresh = || service.post("/refresh", json!({ "refreshToken": session["refreshToken"] }));
        let tries = tokio::join!(refresh(), refresh(), refresh());
        let tries = [tries.0, tries.1, tries.2];
        let won: Vec<&Value> = tries
            .iter()
            .filter(|(status, _)| *status == StatusCode::OK)
            .map(|(_, session)| session)
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {tries:?}");
        let successor = json!({ "refreshToken": won[0]["refreshToken"] });
        assert_eq!(service.post("/refresh", successor).await.0, StatusCode::UNAUTHORIZED);
    }
    service.database.drop().await;
}

#[tokio::test]
async fn a_refresh_that_meets_the_end_of_all_sessions_waits_for_it_and_is_refused() {
    let Some(service) = Service::start().await else { return };
    let session = service.login(ADMIN, PASSWORD).await.1;
    let mut change = service.database.pool.begin().await.unwrap();
    let id: uuid::Uuid = sqlx::query_scalar("select id from users for update")
        .fetch_one(&mut *change)
        .await
        .unwrap();
    let refresh = service.post("/refresh", json!({ "refreshToken": session["refreshToken"] }));
    let end = async {
        let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waiting)
            .fetch_one(&service.database.pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        auth_service::refresh_token::end_all(&mut *change, id).await.unwrap();
        change.commit().await.unwrap();
    };
    let ((status, _), ()) = tokio::join!(refresh, end);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let left: i64 = sqlx::query_scalar("select count(*) from refresh_tokens")
        .fetch_one(&service.database.pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "no successor was born");
    service.database.drop().await;
}

#[tokio::test]
async fn a_user_who_is_disabled_or_has_another_role_is_out_at_once_here_and_cannot_refresh() {
    let Some(service) = Service::start().await else { return };
    let admin = service.admin().await;
    for change in [json!({ "disabled": true }), json!({ "role": "USER" })] {
        let email = format!("second{}@example.org", change.to_string().len());
        let new = json!({ "email": email, "password": "longenough1", "role": "ADMIN" });
        let (status, _, second) = service.send(Method::POST, "/users", Some(&admin), new).await;
        assert_eq!(status, StatusCode::CREATED);
        let session = service.login(&email, "longenough1").await.1;
        let token = session["token"].as_str().unwrap();
        let ask = |path| service.send(Method::GET, path, Some(token), Value::Null);
        assert_eq!(
            (ask("/validate").await.0, ask("/users").await.0),
            (StatusCode::OK, StatusCode::OK)
        );

        let path = format!("/users/{}", second["id"].as_str().unwrap());
        let (status, ..) = service.send(Method::PATCH, &path, Some(&admin), change.clone()).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(ask("/validate").await.0, StatusCode::UNAUTHORIZED, "{change}");
        assert_eq!(ask("/users").await.0, StatusCode::UNAUTHORIZED, "{change}");
        let refresh = json!({ "refreshToken": session["refreshToken"] });
        assert_eq!(
            service.post("/refresh", refresh).await.0,
            StatusCode::UNAUTHORIZED,
            "{change}"
        );
    }
    service.database.drop().await;
}
