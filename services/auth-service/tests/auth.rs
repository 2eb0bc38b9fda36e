//! The service's routes on a database of the test's own.

use std::convert::Infallible;
use std::sync::Arc;

use auth_service::app::App;
use auth_service::first_admin::FirstAdmin;
use auth_service::keyring::Keyring;
use auth_service::password::Passwords;
use auth_service::seal::Seal;
use auth_service::{MIGRATIONS, api};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use kit::Verifier;
use kit::testing::{AUDIENCE, TestDatabase};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt;

const ADMIN: &str = "testuser@test.com";
const PASSWORD: &str = "password123";

fn secret(letter: &str) -> SecretString {
    letter.repeat(40).into()
}

async fn keyring(pool: &PgPool, seal: Seal, now: OffsetDateTime) -> anyhow::Result<Keyring> {
    Keyring::open(pool.clone(), seal, Duration::days(30), Verifier::local(AUDIENCE), now).await
}

struct Service {
    app: App,
    database: TestDatabase,
}

impl Service {
    /// A service with demo data, or none when there is no server for tests.
    async fn start() -> Option<Service> {
        let database = TestDatabase::create().await?;
        MIGRATIONS.run(&database.pool).await.unwrap();
        let seal = Seal::new(&secret("a"), None).unwrap();
        let app = App {
            pool: database.pool.clone(),
            passwords: Passwords::with(argon2::Params::new(8, 1, 1, None).unwrap(), 2).unwrap(),
            keyring: Arc::new(keyring(&database.pool, seal, OffsetDateTime::now_utc()).await.unwrap()),
            audience: AUDIENCE.into(),
            signup: true,
        };
        FirstAdmin::Demo.ensure(&app).await.unwrap();
        Some(Service { app, database })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-forwarded-for", "203.0.113.9");
        request = request
            .header("x-forwarded-prefix", "/auth")
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response: Result<Response, Infallible> = api::router(self.app.clone()).oneshot(request).await;
        let (parts, body) = response.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, _, body) = self.send(Method::POST, path, None, body).await;
        (status, body)
    }

    async fn login(&self, email: &str, password: &str) -> (StatusCode, Value) {
        self.post("/login", json!({ "email": email, "password": password }))
            .await
    }

    async fn admin(&self) -> String {
        self.login(ADMIN, PASSWORD).await.1["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn a_login_gives_a_token_that_holds_and_a_wrong_one_is_401() {
    let Some(service) = Service::start().await else { return };
    let (status, session) = service.login(" TestUser@test.com", PASSWORD).await;
    assert_eq!((status, &session["expiresIn"]), (StatusCode::OK, &json!(900)));
    let token = session["token"].as_str().unwrap();
    let claims = service.app.keyring.verifier().verify(token).await.unwrap();
    assert_eq!(
        (claims.email.as_str(), claims.role.as_str(), claims.exp - claims.iat),
        (ADMIN, "ADMIN", 900)
    );
    assert_eq!(
        service.send(Method::GET, "/validate", Some(token), Value::Null).await.0,
        StatusCode::OK
    );
    let forged = format!("{}AAA", &token[..token.len() - 3]);
    assert_eq!(
        service
            .send(Method::GET, "/validate", Some(&forged), Value::Null)
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        service.send(Method::GET, "/validate", None, Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );

    let wrong = service.login(ADMIN, "wrong-password").await;
    let unknown = service.login("nobody@example.org", "wrong-password").await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong, unknown, "the answer must not tell whether there is such a user");
    let (status, problem) = service.login("", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        problem["errors"],
        json!({ "email": "Email is required", "password": "Password is required" })
    );
    service.database.drop().await;
}

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
async fn many_failures_slow_down_the_pair_of_account_and_address_only() {
    let Some(service) = Service::start().await else { return };
    for attempt in 0..8 {
        assert_eq!(
            service.login(ADMIN, "wrong-password").await.0,
            StatusCode::UNAUTHORIZED,
            "attempt {attempt}"
        );
    }
    let body = json!({ "email": ADMIN, "password": PASSWORD });
    let (status, headers, _) = service.send(Method::POST, "/login", None, body.clone()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "1");
    let elsewhere = Request::post("/login")
        .header("x-forwarded-for", "203.0.113.10")
        .header("content-type", "application/json");
    let elsewhere = elsewhere.body(Body::from(body.to_string())).unwrap();
    let response = api::router(service.app.clone()).oneshot(elsewhere).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "another address is not slowed down");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(
        service.login(ADMIN, PASSWORD).await.0,
        StatusCode::OK,
        "the pause is over"
    );
    service.database.drop().await;
}

#[tokio::test]
async fn whoever_signs_up_is_a_user_whatever_is_asked_for() {
    let Some(mut service) = Service::start().await else {
        return;
    };
    let new = json!({ "email": "eve@example.org", "password": "longenough1", "role": "ADMIN" });
    let (status, made) = service.post("/signup", new.clone()).await;
    assert_eq!((status, &made["role"]), (StatusCode::CREATED, &json!("USER")));
    assert!(!made.to_string().contains("argon2"), "{made}");
    let (status, problem) = service.post("/signup", new.clone()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::CONFLICT, &json!("Email address already exists"))
    );
    let short = json!({ "email": "short@example.org", "password": "short" });
    assert_eq!(service.post("/signup", short).await.0, StatusCode::BAD_REQUEST);

    let user = service.login("eve@example.org", "longenough1").await.1["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        service.send(Method::GET, "/users", Some(&user), Value::Null).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        service.send(Method::GET, "/users", None, Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );
    service.app.signup = false;
    assert_eq!(service.post("/signup", new).await.0, StatusCode::NOT_FOUND);
    service.database.drop().await;
}

#[tokio::test]
async fn admins_keep_the_users_and_the_last_admin_stays() {
    let Some(service) = Service::start().await else { return };
    let admin = service.admin().await;
    let new = json!({ "email": "second@example.org", "password": "longenough1", "role": "ADMIN" });
    let (status, headers, second) = service.send(Method::POST, "/users", Some(&admin), new).await;
    assert_eq!((status, &second["role"]), (StatusCode::CREATED, &json!("ADMIN")));
    let id = second["id"].as_str().unwrap();
    assert_eq!(headers["location"].to_str().unwrap(), format!("/auth/users/{id}"));

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
    assert_eq!(
        service.send(Method::PATCH, nobody, Some(&admin), json!({})).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        service.send(Method::PATCH, "/users/x", Some(&admin), json!({})).await.0,
        StatusCode::BAD_REQUEST
    );
    service.database.drop().await;
}

#[tokio::test]
async fn the_next_key_is_published_before_it_signs_and_the_former_one_after() {
    let Some(service) = Service::start().await else { return };
    let keyring = &service.app.keyring;
    let kids = || -> Vec<String> {
        let jwks = keyring.jwks();
        jwks["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    };
    let claims = keyring.verifier().verify(&service.admin().await).await.unwrap();
    let signer = |now| {
        let token = keyring.sign(&claims, now).unwrap();
        jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
    };
    let start = OffsetDateTime::now_utc();
    let first = kids()[0].clone();
    assert!(
        keyring.jwks()["keys"][0].get("d").is_none(),
        "no private key is published"
    );

    let due = start + Duration::days(30);
    keyring.turn(due).await.unwrap();
    keyring.turn(due).await.unwrap();
    assert_eq!(kids().len(), 2, "one successor, however often it is looked at");
    assert_eq!(signer(due), first, "the successor does not sign yet");
    let later = due + Duration::minutes(61);
    assert_ne!(signer(later), first, "now it does");
    keyring.turn(later).await.unwrap();
    assert!(kids().contains(&first), "tokens of the former key are still about");
    keyring.turn(later + Duration::minutes(61)).await.unwrap();
    assert!(!kids().contains(&first), "none is left");
    service.database.drop().await;
}

#[tokio::test]
async fn keys_outlive_a_change_of_the_secret_and_a_wrong_secret_is_a_clear_error() {
    let Some(service) = Service::start().await else { return };
    let (pool, now) = (&service.database.pool, OffsetDateTime::now_utc());
    let token = service.admin().await;
    let error = keyring(pool, Seal::new(&secret("b"), None).unwrap(), now)
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("AUTH_KEY_ENCRYPTION_KEY_PREVIOUS"),
        "{error}"
    );

    let changed = keyring(pool, Seal::new(&secret("b"), Some(&secret("a"))).unwrap(), now)
        .await
        .unwrap();
    assert!(changed.verifier().verify(&token).await.is_ok());
    // Sealed again: the former secret is not needed any more, and the replica that knows only it signs on.
    assert!(keyring(pool, Seal::new(&secret("b"), None).unwrap(), now).await.is_ok());
    service.app.keyring.turn(now).await.unwrap();
    assert_eq!(service.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    service.database.drop().await;
}
