//! The administration of accounts.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::Service;

#[tokio::test]
async fn admins_keep_the_users_and_the_last_admin_stays() {
    let Some(service) = Service::start().await else { return };
    let admin = service.admin().await;
    let new = json!({ "email": "second@example.org", "password": "longenough1", "role": "ADMIN" });
    let (status, headers, second) = service.send(Method::POST, "/users", Some(&admin), new).await;
    assert_eq!((status, &second["role"]), (StatusCode::CREATED, &json!("ADMIN")));
    let id = second["id"].as_str().unwrap();
    let location = headers["location"].to_str().unwrap();
    assert_eq!(location, format!("/auth/users/{id}"));
    let named = location.strip_prefix("/auth").unwrap();
    let (status, _, read) = service.send(Method::GET, named, Some(&admin), Value::Null).await;
    assert_eq!(
        (status, &read),
        (StatusCode::OK, &second),
        "what Location names is there"
    );

    let (status, headers, page) = service
        .send(Method::GET, "/users?limit=1", Some(&admin), Value::Null)
        .await;
    assert_eq!((status, page.as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(headers["x-total-count"], "2");
    let link = headers["link"].to_str().unwrap();
    let next = link
        .strip_prefix("</auth")
        .and_then(|rest| rest.split('>').next())
        .unwrap();
    let (_, headers, page) = service.send(Method::GET, next, Some(&admin), Value::Null).await;
    assert_eq!(
        (page[0]["id"].as_str().unwrap(), headers.contains_key("link")),
        (id, false)
    );

    let session = service.login("second@example.org", "longenough1").await.1;
    let path = format!("/users/{id}");
    let (status, _, changed) = service
        .send(Method::PATCH, &path, Some(&admin), json!({ "disabled": true }))
        .await;
    assert_eq!((status, &changed["disabled"]), (StatusCode::OK, &json!(true)));
    assert_eq!(
        service.login("second@example.org", "longenough1").await.0,
        StatusCode::UNAUTHORIZED
    );
    let refresh = json!({ "refreshToken": session["refreshToken"] });
    assert_eq!(service.post("/refresh", refresh).await.0, StatusCode::UNAUTHORIZED);

    let me = service.app.keyring.verifier().verify(&admin).await.unwrap().sub;
    for change in [json!({ "disabled": true }), json!({ "role": "USER" })] {
        let (status, ..) = service
            .send(Method::PATCH, &format!("/users/{me}"), Some(&admin), change)
            .await;
        assert_eq!(status, StatusCode::CONFLICT, "the last admin");
    }
    let nobody = "/users/00000000-0000-4000-8000-000000000000";
    for method in [Method::GET, Method::PATCH] {
        let (status, ..) = service.send(method.clone(), nobody, Some(&admin), json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
    let user = json!({ "email": "third@example.org", "password": "longenough1" });
    service.send(Method::POST, "/users", Some(&admin), user).await;
    let user = service.login("third@example.org", "longenough1").await.1;
    let (status, ..) = service
        .send(
            Method::GET,
            &format!("/users/{id}"),
            user["token"].as_str(),
            Value::Null,
        )
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        service.send(Method::PATCH, "/users/x", Some(&admin), json!({})).await.0,
        StatusCode::BAD_REQUEST
    );
    service.database.drop().await;
}
