//! The service as its callers see it: gRPC over a real socket, HTTP through the router.

use axum::{Router, body::Body};
use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{BillingRequest, CloseBillingAccountRequest, billing_service_client::BillingServiceClient},
};
use futures::stream;
use http::{Request, StatusCode};
use kit::{
    Role, database,
    testing::{TestDatabase, TestTokens},
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{MIGRATOR, link::LinkGuard, routes, rpc};

const SECRET: &str = "a-secret-of-the-link";

/// A running service with a database of its own.
struct Service {
    database: TestDatabase,
    channel: Channel,
    router: Router,
    tokens: TestTokens,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Service {
    async fn start() -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &MIGRATOR).await.expect("migrations");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let guard = LinkGuard::new(SECRET.into()).expect("a secret");
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(rpc::serve(listener, database.pool.clone(), guard, shutdown.clone()));
        let channel = Channel::from_shared(format!("http://{address}"))
            .expect("a URL")
            .connect_lazy();
        let tokens = TestTokens::new();
        let state = routes::AppState {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
        };
        let router = routes::routes(state);
        Some(Self {
            database,
            channel,
            router,
            tokens,
            shutdown,
            served,
        })
    }

    async fn create(&self, patient_id: &str, secret: &str) -> Result<(String, String), Code> {
        let request = BillingRequest {
            patient_id: patient_id.to_owned(),
            name: "Ada Example".to_owned(),
            email: "ada@example.org".to_owned(),
        };
        let mut request = tonic::Request::new(request);
        request
            .metadata_mut()
            .insert(LINK_SECRET_HEADER, secret.parse().expect("metadata"));
        let answer = BillingServiceClient::new(self.channel.clone())
            .create_billing_account(request)
            .await;
        answer
            .map(|answer| answer.into_inner())
            .map(|it| (it.account_id, it.status))
            .map_err(|status| status.code())
    }

    async fn close(&self, patient_id: Uuid) -> (String, String) {
        let mut request = tonic::Request::new(CloseBillingAccountRequest {
            patient_id: patient_id.to_string(),
        });
        request
            .metadata_mut()
            .insert(LINK_SECRET_HEADER, SECRET.parse().expect("metadata"));
        let answer = BillingServiceClient::new(self.channel.clone())
            .close_billing_account(request)
            .await;
        let answer = answer.expect("closed").into_inner();
        (answer.account_id, answer.status)
    }

    async fn get(&self, path: &str, role: Option<Role>) -> (StatusCode, Value) {
        let request = Request::get(path);
        let request = match role {
            Some(role) => request.header("authorization", format!("Bearer {}", self.tokens.token(role))),
            None => request,
        };
        let answer = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).expect("a request"))
            .await;
        let answer = answer.expect("an answer");
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Shuts the listener down, which must end without an error, and drops the database.
    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.channel);
        self.served.await.expect("no panic").expect("served until told to stop");
        self.database.drop().await;
    }
}

#[tokio::test]
async fn two_calls_for_one_patient_open_one_account() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    let id = patient.to_string();
    let (first, second, third) = tokio::join!(
        service.create(&id, SECRET),
        service.create(&id, SECRET),
        service.create(&id, SECRET)
    );
    let first = first.expect("opened");
    assert_eq!(first.1, "ACTIVE");
    assert_eq!([second.as_ref(), third.as_ref()], [Ok(&first), Ok(&first)]);

    let (status, listed) = service
        .get(&format!("/billing/accounts?patientId={patient}"), Some(Role::Admin))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["patientId"], id);
    assert_eq!(listed[0]["status"], "ACTIVE");
    assert!(
        listed[0]["openedAt"].as_str().is_some_and(|at| at.ends_with('Z')),
        "{listed}"
    );

    let (status, shown) = service
        .get(&format!("/billing/accounts/{}", first.0), Some(Role::Admin))
        .await;
    assert_eq!((status, &shown), (StatusCode::OK, &listed[0]));
    service.stop().await;
}

#[tokio::test]
async fn closing_is_final_and_forgets_who_was_billed() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    let (account, _) = service.create(&patient.to_string(), SECRET).await.expect("opened");
    assert_eq!(service.close(patient).await, (account.clone(), "CLOSED".to_owned()));
    assert_eq!(service.close(patient).await, (account.clone(), "CLOSED".to_owned()));
    assert_eq!(
        service.create(&patient.to_string(), SECRET).await,
        Ok((account, "CLOSED".to_owned()))
    );
    let known: Option<String> = sqlx::query_scalar("select concat(holder_name, holder_email) from accounts")
        .fetch_one(&service.database.pool)
        .await
        .expect("one row");
    assert_eq!(known.as_deref(), Some(""));
    service.stop().await;
}

#[tokio::test]
async fn a_late_opening_finds_the_account_closed() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    let path = format!("/billing/accounts?patientId={patient}");
    assert_eq!(service.close(patient).await, (String::new(), "CLOSED".to_owned()));
    assert_eq!(
        service.get(&path, Some(Role::Admin)).await.1.as_array().map(Vec::len),
        Some(0)
    );
    let (account, status) = service.create(&patient.to_string(), SECRET).await.expect("answered");
    assert_eq!(status, "CLOSED");
    let (_, listed) = service.get(&path, Some(Role::Admin)).await;
    assert_eq!(
        (&listed[0]["accountId"], &listed[0]["status"]),
        (&Value::from(account), &Value::from("CLOSED"))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_caller_without_the_links_secret_is_refused_but_health_answers_everybody() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4().to_string();
    assert_eq!(
        service.create(&patient, "a-secret-of-the-lint").await,
        Err(Code::Unauthenticated)
    );
    assert_eq!(service.create(&patient, "").await, Err(Code::Unauthenticated));
    assert_eq!(service.create("not-a-uuid", SECRET).await, Err(Code::InvalidArgument));
    let long = "x".repeat(20_000);
    assert_eq!(
        service.create(&long, SECRET).await,
        Err(Code::OutOfRange),
        "it is not even read"
    );
    assert_eq!(service.create(&long, "a guess").await, Err(Code::Unauthenticated));
    let request = HealthCheckRequest {
        service: "billing.v1.BillingService".to_owned(),
    };
    let health = HealthClient::new(service.channel.clone())
        .check(request)
        .await
        .expect("health answers")
        .into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    assert!(LinkGuard::new("".into()).is_err(), "an empty secret opens no door");
    service.stop().await;
}

#[tokio::test]
async fn reflection_tells_a_stranger_which_services_there_are() {
    let Some(service) = Service::start().await else { return };
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(service.channel.clone());
    let asked = reflection.server_reflection_info(stream::iter([question])).await;
    let answer = asked
        .expect("reflection answers")
        .into_inner()
        .message()
        .await
        .expect("a message");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.and_then(|it| it.message_response) else {
        panic!("reflection must list the services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"billing.v1.BillingService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
    service.stop().await;
}

#[tokio::test]
async fn accounts_are_shown_page_by_page_to_administrators_only() {
    let Some(service) = Service::start().await else { return };
    for _ in 0..3 {
        service
            .create(&Uuid::new_v4().to_string(), SECRET)
            .await
            .expect("opened");
    }
    let (_, all) = service.get("/billing/accounts", Some(Role::Admin)).await;
    let (_, page) = service.get("/billing/accounts?limit=2", Some(Role::Admin)).await;
    let last = page[1]["accountId"].as_str().expect("an id");
    let (_, rest) = service
        .get(&format!("/billing/accounts?limit=2&after={last}"), Some(Role::Admin))
        .await;
    assert_eq!(
        (page.as_array().map(Vec::len), rest.as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    assert_eq!((&all[1], &all[2]), (&page[1], &rest[0]));

    assert_eq!(service.get("/billing/accounts", None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        service.get("/billing/accounts", Some(Role::User)).await.0,
        StatusCode::FORBIDDEN
    );
    for bad in ["?limit=0", "?limit=x", "?patientId=1", "?after=x", "/not-a-uuid"] {
        let (status, problem) = service.get(&format!("/billing/accounts{bad}"), Some(Role::Admin)).await;
        assert_eq!(
            (status, &problem["status"]),
            (StatusCode::BAD_REQUEST, &Value::from(400)),
            "{bad}"
        );
    }
    let unknown = format!("/billing/accounts/{}", Uuid::new_v4());
    assert_eq!(service.get(&unknown, Some(Role::Admin)).await.0, StatusCode::NOT_FOUND);
    service.stop().await;
}
