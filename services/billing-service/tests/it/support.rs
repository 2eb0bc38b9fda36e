//! The service with a database of the test.

use std::time::Duration;

use axum::{Router, body::Body};
use billing_service::{AppState, MIGRATIONS, grpc, link_secret::LinkSecretInterceptor, router};
use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{
        BillingRequest, CloseBillingAccountRequest, UpdateBillingAccountRequest,
        billing_service_client::BillingServiceClient,
    },
};
use http::{HeaderMap, Request, StatusCode, header};
use kit::{
    Role, database,
    testing::{TestDatabase, TestTokens},
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};
use tower::ServiceExt;
use uuid::Uuid;

/// The link's secret.
pub const SECRET: &str = "a-secret-of-the-link";

pub struct TestApp {
    pub database: TestDatabase,
    /// A gRPC channel to the service.
    pub channel: Channel,
    pub router: Router,
    pub tokens: TestTokens,
    shutdown: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
}

impl TestApp {
    /// Starts the service; `None` without a database server for tests.
    pub async fn start() -> Option<Self> {
        Self::with_max_connection_age(Duration::from_mins(1)).await
    }

    /// Starts the service, which closes connections at this age.
    pub async fn with_max_connection_age(age: Duration) -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &MIGRATIONS)
            .await
            .expect("migrations");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let interceptor = LinkSecretInterceptor::new(SECRET.into()).expect("a secret");
        let shutdown = CancellationToken::new();
        let server = grpc::serve(listener, database.pool.clone(), interceptor, age, shutdown.clone());
        let channel = Channel::from_shared(format!("http://{address}"))
            .expect("a URL")
            .connect_lazy();
        let tokens = TestTokens::new();
        let router = router(AppState {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
        });
        Some(Self {
            database,
            channel,
            router,
            tokens,
            shutdown,
            server: tokio::spawn(server),
        })
    }

    /// Opens an account, and returns its id and status.
    pub async fn create(&self, patient_id: &str, secret: &str) -> Result<(String, String), Code> {
        let created = self.call_create(patient_id, secret).await;
        created.map_err(|status| status.code())
    }

    /// Opens an account, and returns its id and status.
    pub async fn call_create(&self, patient_id: &str, secret: &str) -> Result<(String, String), Status> {
        let request = BillingRequest {
            patient_id: patient_id.to_owned(),
            name: "Ada Example".to_owned(),
            email: "ada@example.org".to_owned(),
            version: 1,
        };
        let response = BillingServiceClient::new(self.channel.clone())
            .create_billing_account(with_secret(request, secret))
            .await;
        response
            .map(tonic::Response::into_inner)
            .map(|account| (account.account_id, account.status))
    }

    /// Updates the holder of an account, and returns its status.
    pub async fn update(&self, patient_id: Uuid, name: &str, version: i64) -> Result<String, Code> {
        let request = UpdateBillingAccountRequest {
            patient_id: patient_id.to_string(),
            name: name.to_owned(),
            email: format!("{}@example.org", name.to_lowercase()),
            version,
        };
        let response = BillingServiceClient::new(self.channel.clone())
            .update_billing_account(with_secret(request, SECRET))
            .await;
        response
            .map(|response| response.into_inner().status)
            .map_err(|status| status.code())
    }

    /// Returns the name and email of the only account.
    pub async fn holder(&self) -> (Option<String>, Option<String>) {
        sqlx::query_as("select holder_name, holder_email from accounts")
            .fetch_one(&self.database.pool)
            .await
            .expect("one account")
    }

    /// Closes an account, and returns its id and status.
    pub async fn close(&self, patient_id: Uuid) -> (String, String) {
        let request = CloseBillingAccountRequest {
            patient_id: patient_id.to_string(),
        };
        let response = BillingServiceClient::new(self.channel.clone())
            .close_billing_account(with_secret(request, SECRET))
            .await;
        let account = response.expect("closed").into_inner();
        (account.account_id, account.status)
    }

    pub async fn get(&self, path: &str, role: Option<Role>) -> (StatusCode, Value) {
        let (status, _, body) = self.get_with_headers(path, role).await;
        (status, body)
    }

    pub async fn get_with_headers(&self, path: &str, role: Option<Role>) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::get(path);
        if let Some(role) = role {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.tokens.token(role)));
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).expect("JSON"),
        )
    }

    /// Stops the gRPC server, which must not fail, and drops the database.
    pub async fn stop(self) {
        self.shutdown.cancel();
        drop(self.channel);
        self.server.await.expect("no panic").expect("no error");
        self.database.drop().await;
    }
}

fn with_secret<T>(message: T, secret: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert(LINK_SECRET_HEADER, secret.parse().expect("metadata"));
    request
}
