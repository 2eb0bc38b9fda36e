//! The service with a database of the test, and a fake billing-service.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{
        BillingRequest, BillingResponse, CloseBillingAccountRequest, CloseBillingAccountResponse,
        UpdateBillingAccountRequest,
        billing_service_server::{BillingService, BillingServiceServer},
    },
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use kit::{
    Role, ServeArgs, Server, database,
    testing::{TestDatabase, TestTokens},
};
use parking_lot::Mutex;
use patient_service::{AppState, MIGRATIONS, billing, billing::BillingClient, calendar::Calendar, openapi, router};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tower::ServiceExt;

/// Time limit of anything that a test waits for.
pub const TIMEOUT: Duration = Duration::from_secs(20);
const LINK_SECRET: &str = "the link's secret";

/// The service with its own database.
pub struct TestApp {
    pub database: TestDatabase,
    pub client: Arc<BillingClient>,
    pub billing: FakeBilling,
    router: Router,
    admin: String,
    user: String,
    auditor: String,
}

impl TestApp {
    /// Starts the service; `None` without a database server for tests.
    pub async fn start() -> Option<Self> {
        Self::start_in("UTC").await
    }

    /// Starts the service in a time zone.
    pub async fn start_in(time_zone: &str) -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &MIGRATIONS)
            .await
            .expect("migrations");
        let tokens = TestTokens::new();
        let billing = FakeBilling::reserve().await;
        let secret = SecretString::from(LINK_SECRET);
        let client = BillingClient::new(&billing.address.to_string(), Some(&secret)).expect("a client");
        let client = Arc::new(client);
        let state = AppState {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
            billing: client.clone(),
            calendar: Calendar::new(time_zone, &database.pool).await.expect("a time zone"),
        };
        let args = ServeArgs {
            host: [127, 0, 0, 1].into(),
            port: 0,
            shutdown_delay: 0,
            max_connections: 64,
        };
        let (router, _) = Server::new("patient-service", &args)
            .routes(router(state))
            .openapi(openapi())
            .routers();
        let [admin, user, auditor] = [Role::Admin, Role::User, Role::Auditor].map(|role| tokens.token(role));
        Some(Self {
            database,
            client,
            billing,
            router,
            admin,
            user,
            auditor,
        })
    }

    /// Starts the reconciler.
    pub fn reconcile(&self) -> Reconciler {
        let shutdown = CancellationToken::new();
        let run = billing::reconcile(self.database.pool.clone(), self.client.clone(), shutdown.clone());
        Reconciler {
            shutdown,
            task: tokio::spawn(run),
        }
    }

    /// Sends a request as an administrator.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> TestResponse {
        self.call_with(method, path, body, &[]).await
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.call(Method::GET, path, None).await
    }

    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> TestResponse {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(method, path, Body::from(body), &self.admin, headers).await
    }

    pub async fn call_as_user(&self, method: Method, path: &str) -> TestResponse {
        self.send(method, path, Body::empty(), &self.user, &[]).await
    }

    pub async fn call_as_auditor(&self, method: Method, path: &str) -> TestResponse {
        self.send(method, path, Body::empty(), &self.auditor, &[]).await
    }

    /// Returns the number of rows of a query that counts.
    pub async fn count(&self, query: &'static str) -> i64 {
        let count = sqlx::query_scalar(query).fetch_one(&self.database.pool);
        count.await.expect("a count")
    }

    /// Sends a request as a user with this role.
    pub async fn call_as(&self, role: Role, method: Method, path: &str, body: Option<Value>) -> TestResponse {
        let token = match role {
            Role::Admin => &self.admin,
            Role::User => &self.user,
            Role::Auditor => &self.auditor,
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(
            method,
            path,
            Body::from(body),
            token,
            &[("x-forwarded-for", "203.0.113.9")],
        )
        .await
    }

    pub async fn send_bytes(&self, method: Method, path: &str, body: Vec<u8>) -> TestResponse {
        self.send(method, path, Body::from(body), &self.admin, &[]).await
    }

    /// Sends a request as an administrator, and returns the response with its body unread.
    pub async fn stream(&self, path: &str) -> axum::response::Response {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.admin));
        let request = request.body(Body::empty()).expect("a request");
        self.router.clone().oneshot(request).await.expect("a response")
    }

    /// Sends a body as an administrator; the headers include its type.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: Body) -> TestResponse {
        let mut request = Request::post(path).header("authorization", format!("Bearer {}", self.admin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        TestResponse::read(self.router.clone().oneshot(request).await.expect("a response")).await
    }

    pub async fn get_without_token(&self, path: &str) -> TestResponse {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        TestResponse::read(self.router.clone().oneshot(request).await.expect("a response")).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
        token: &str,
        headers: &[(&str, &str)],
    ) -> TestResponse {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        TestResponse::read(self.router.clone().oneshot(request).await.expect("a response")).await
    }

    /// Creates a patient, and returns it.
    pub async fn create(&self, name: &str) -> Value {
        let response = self.call(Method::POST, "/patients", Some(patient(name))).await;
        assert_eq!(response.status, StatusCode::CREATED, "{}", response.body);
        response.body
    }
}

/// Returns the body of a patient; the email address is derived from the name.
pub fn patient(name: &str) -> Value {
    let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
    json!({"name": name, "email": email, "address": "1 Main St", "dateOfBirth": "1990-05-17"})
}

/// Returns the path of a patient.
pub fn path_of(patient: &Value) -> String {
    format!("/patients/{}", patient["id"].as_str().expect("an id"))
}

pub struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl TestResponse {
    async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the path of the next page, from the Link header.
    pub fn next_page(&self) -> Option<&str> {
        let link = self.header("link").strip_prefix('<')?;
        Some(link.split_once(">; rel=\"next\"")?.0)
    }
}

/// A running reconciler.
pub struct Reconciler {
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Reconciler {
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("no error");
    }
}

/// A billing-service that listens after [`FakeBilling::start`].
pub struct FakeBilling {
    address: SocketAddr,
    accounts: Accounts,
}

/// Name of a patient for whom the fake rejects to open an account.
pub const REJECTED: &str = "Rejected By Billing";

/// The account of each patient.
type Accounts = Arc<Mutex<BTreeMap<String, FakeAccount>>>;

struct FakeAccount {
    status: &'static str,
    /// `None` once the account is closed.
    holder: Option<(String, String, i64)>,
}

impl FakeAccount {
    fn update(&mut self, holder: (String, String, i64)) {
        if self.status == "ACTIVE" && self.holder.as_ref().is_none_or(|old| old.2 < holder.2) {
            self.holder = Some(holder);
        }
    }
}

impl FakeBilling {
    async fn reserve() -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .await
            .and_then(|listener| listener.local_addr());
        Self {
            address: address.expect("a free port"),
            accounts: Accounts::default(),
        }
    }

    pub async fn start(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the reserved port");
        let service = BillingServiceServer::new(FakeService(self.accounts.clone()));
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }

    /// Returns the status of a patient's account.
    pub fn account(&self, patient: &Value) -> Option<&'static str> {
        let id = patient["id"].as_str().expect("an id");
        self.accounts.lock().get(id).map(|account| account.status)
    }

    /// Returns the name, email and version of the holder of a patient's account.
    pub fn holder(&self, patient: &Value) -> Option<(String, String, i64)> {
        let id = patient["id"].as_str().expect("an id");
        self.accounts.lock().get(id)?.holder.clone()
    }

    /// Forgets an account, as a billing-service that was restored from an old backup.
    pub fn lose(&self, patient: &Value) {
        self.accounts.lock().remove(patient["id"].as_str().expect("an id"));
    }
}

struct FakeService(Accounts);

fn authenticate<T>(request: tonic::Request<T>) -> Result<T, Status> {
    match request.metadata().get(LINK_SECRET_HEADER) {
        Some(secret) if secret == LINK_SECRET => Ok(request.into_inner()),
        _ => Err(Status::unauthenticated("no secret")),
    }
}

#[tonic::async_trait]
impl BillingService for FakeService {
    async fn create_billing_account(
        &self,
        request: tonic::Request<BillingRequest>,
    ) -> Result<tonic::Response<BillingResponse>, Status> {
        let BillingRequest {
            patient_id: patient,
            name,
            email,
            version,
        } = authenticate(request)?;
        if name == REJECTED {
            return Err(Status::invalid_argument("the name is not valid"));
        }
        let mut accounts = self.0.lock();
        let account = accounts.entry(patient.clone()).or_insert(FakeAccount {
            status: "ACTIVE",
            holder: None,
        });
        account.update((name, email, version));
        Ok(response(&patient, account.status))
    }

    async fn update_billing_account(
        &self,
        request: tonic::Request<UpdateBillingAccountRequest>,
    ) -> Result<tonic::Response<BillingResponse>, Status> {
        let request = authenticate(request)?;
        let mut accounts = self.0.lock();
        let account = accounts.get_mut(&request.patient_id);
        let account = account.ok_or_else(|| Status::not_found("no account"))?;
        account.update((request.name, request.email, request.version));
        Ok(response(&request.patient_id, account.status))
    }

    async fn close_billing_account(
        &self,
        request: tonic::Request<CloseBillingAccountRequest>,
    ) -> Result<tonic::Response<CloseBillingAccountResponse>, Status> {
        let patient = authenticate(request)?.patient_id;
        let closed = FakeAccount {
            status: "CLOSED",
            holder: None,
        };
        self.0.lock().insert(patient.clone(), closed);
        Ok(tonic::Response::new(CloseBillingAccountResponse {
            account_id: format!("account-{patient}"),
            status: "CLOSED".into(),
        }))
    }
}

fn response(patient: &str, status: &str) -> tonic::Response<BillingResponse> {
    tonic::Response::new(BillingResponse {
        account_id: format!("account-{patient}"),
        status: status.to_owned(),
    })
}
