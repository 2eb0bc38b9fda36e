//! Authorisation without the gateway: each service requires a token, the right role, and the secret of its gRPC link.

use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{BillingRequest, billing_service_client::BillingServiceClient},
};
use end_to_end::{Client, Options, Service, System};
use http::{Method, StatusCode};
use kit::{Role, testing::TestTokens};
use serde_json::{Value, json};
use tonic::{Code, Request, transport::Endpoint};

/// Public routes of auth-service: to get a token, to end a session, and the keys that verify tokens.
const SESSION: [&str; 9] = [
    "/login",
    "/refresh",
    "/logout",
    "/signup",
    "/oidc/login",
    "/oidc/callback",
    "/password/reset-request",
    "/password/reset",
    "/.well-known/jwks.json",
];
/// Public routes of every service, for the platform.
const PLATFORM: [&str; 4] = ["/health/live", "/health/ready", "/metrics", "/v3/api-docs"];

/// The routes of FHIR, which OpenAPI documents do not have, and the roles that may use them.
const FHIR: [(&str, &[Role]); 4] = [
    ("/fhir/Patient", &[Role::User, Role::Admin]),
    (
        "/fhir/Patient/00000000-0000-4000-8000-000000000000",
        &[Role::User, Role::Admin],
    ),
    ("/fhir/AuditEvent", &[Role::Auditor]),
    (
        "/fhir/AuditEvent/00000000-0000-4000-8000-000000000000",
        &[Role::Auditor],
    ),
];

fn fhir_service(path: &str) -> Service {
    if path.starts_with("/fhir/AuditEvent") {
        Service::Audit
    } else {
        Service::Patient
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn every_route_of_every_service_requires_a_token_and_the_right_role() {
    let system = System::start(Options::default()).await;
    let credentials = json!({"email": "user@example.org", "password": "longenough1"});
    let made = system
        .anonymous()
        .post("/auth/signup")
        .json(&credentials)
        .response()
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let other_key = TestTokens::new();
    let forged = other_key.token(Role::Admin);
    for service in Service::ALL.into_iter().filter(|service| *service != Service::Gateway) {
        let anonymous = system.replica(service).client();
        let document = anonymous.get("/v3/api-docs").response().await.json();
        let (mut protected, mut admins) = (0, 0);
        for (method, path, operation) in operations(&document) {
            let what = format!("{} {method} {path}", service.name());
            let status = async |client: &Client| {
                let request = client.request(method.clone(), &with_an_id(&path)).json(&json!({}));
                request.response().await.status
            };
            let is_session = service == Service::Auth && SESSION.contains(&path.as_str());
            let public = is_session || PLATFORM.contains(&path.as_str());
            let declared = operation["security"]
                .as_array()
                .is_some_and(|schemes| !schemes.is_empty());
            assert_eq!(declared, !public, "{what}: the security requirement of the document");
            if public {
                assert!(!matches!(status(&anonymous).await.as_u16(), 403 | 500..), "{what}");
                continue;
            }
            protected += 1;
            assert_eq!(
                status(&anonymous).await,
                StatusCode::UNAUTHORIZED,
                "{what} without a token"
            );
            let forged = anonymous.with_token(&forged);
            assert_eq!(
                status(&forged).await,
                StatusCode::UNAUTHORIZED,
                "{what} with a forged token"
            );
            // A session for each route, because some of them end it.
            let user = system.login("user@example.org", "longenough1").await;
            let user = anonymous.with_token(user.token().expect("a token"));
            let user_status = status(&user).await;
            if operation["responses"].get("403").is_some() {
                admins += 1;
                assert_eq!(user_status, StatusCode::FORBIDDEN, "{what} as USER");
            } else {
                assert!(
                    !matches!(user_status.as_u16(), 401 | 403 | 500..),
                    "{what} as USER: {user_status}"
                );
            }
        }
        for (path, roles) in FHIR.iter().filter(|(path, _)| fhir_service(path) == service) {
            let status = async |client: &Client| client.get(path).response().await.status;
            assert_eq!(
                status(&anonymous).await,
                StatusCode::UNAUTHORIZED,
                "{path} without a token"
            );
            assert_eq!(
                status(&anonymous.with_token(&forged)).await,
                StatusCode::UNAUTHORIZED,
                "{path}, forged"
            );
            for (role, client) in [
                (Role::User, system.login("user@example.org", "longenough1").await),
                (Role::Admin, system.admin().await),
                (Role::Auditor, system.auditor().await),
            ] {
                let found = status(&anonymous.with_token(client.token().expect("a token"))).await;
                let refused = found == StatusCode::FORBIDDEN;
                assert!(
                    refused != roles.contains(&role) && !found.is_server_error(),
                    "{path} as {role:?}: {found}"
                );
            }
        }
        assert!(protected > 0, "{} has no protected routes", service.name());
        assert!(admins > 0, "{} has routes that a USER must not use", service.name());
    }
}

/// Returns method, path and description of each operation.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut found = Vec::new();
    for (path, item) in paths {
        for (name, operation) in item.as_object().expect("operations") {
            // Other members are parameters and descriptions; health and metrics are public inside the VPC.
            if operation.get("responses").is_some() && operation["tags"][0] != "Operations" {
                let method = name.to_ascii_uppercase().parse().expect("a method");
                found.push((method, path.clone(), operation.clone()));
            }
        }
    }
    found
}

/// Replaces each parameter of a path by an id that does not exist.
fn with_an_id(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            "00000000-0000-4000-8000-000000000000"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn billing_opens_an_account_only_with_the_secret_of_the_link() {
    let system = System::start(Options::default().only([Service::Auth, Service::Billing])).await;
    let address = system.replica(Service::Billing).grpc().expect("a gRPC port");
    let channel = Endpoint::try_from(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await;
    let channel = channel.expect("a connection");
    let open = async |secret: Option<&str>| {
        let mut request = Request::new(BillingRequest {
            patient_id: uuid::Uuid::new_v4().to_string(),
            name: "A Name".into(),
            email: "a@example.org".into(),
            version: 1,
        });
        if let Some(secret) = secret {
            request
                .metadata_mut()
                .insert(LINK_SECRET_HEADER, secret.parse().expect("ASCII"));
        }
        let response = BillingServiceClient::new(channel.clone())
            .create_billing_account(request)
            .await;
        response.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    for secret in [None, Some(""), Some("a guess")] {
        assert_eq!(open(secret).await, Code::Unauthenticated, "{secret:?}");
    }
    assert_eq!(open(Some(system.secret("BILLING_LINK_SECRET"))).await, Code::Ok);
    let accounts: i64 = sqlx::query_scalar("select count(*) from accounts")
        .fetch_one(&system.database(Service::Billing))
        .await
        .expect("a count");
    assert_eq!(accounts, 1);
}
