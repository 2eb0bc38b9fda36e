//! The service with a database of its own, and a billing-service that the test holds in its hand.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body};
use contracts::billing::v1::{
    BillingRequest, BillingResponse, CloseBillingAccountRequest, CloseBillingAccountResponse,
    billing_service_server::{BillingService, BillingServiceServer},
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use kit::{
    Role, ServeArgs, Server, database,
    testing::{TestDatabase, TestTokens},
};
use patient_service::{
    app::{self, App},
    billing::{Billing, BillingArgs},
    calendar::Calendar,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Response, Status};
use tower::ServiceExt;

pub struct House {
    pub database: TestDatabase,
    pub billing: Arc<Billing>,
    pub peer: Peer,
    router: Router,
    admin: String,
    user: String,
}

impl House {
    /// Nothing when tests have no database server.
    pub async fn build() -> Option<Self> {
        Self::build_in("UTC").await
    }

    /// The same where the patients live in another time zone.
    pub async fn build_in(zone: &str) -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &app::MIGRATIONS)
            .await
            .expect("migrations");
        let tokens = TestTokens::new();
        let peer = Peer::reserve().await;
        let billing = Arc::new(
            Billing::new(&BillingArgs {
                billing_service_address: peer.address.to_string(),
                billing_link_secret: Some(SecretString::from("the link's secret")),
            })
            .expect("a client"),
        );
        let app = App {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
            billing: billing.clone(),
            calendar: Calendar::of(zone, &database.pool).await.expect("a time zone"),
        };
        let args = ServeArgs {
            host: [127, 0, 0, 1].into(),
            port: 0,
            shutdown_delay: 0,
            max_connections: 64,
        };
        let (router, _) = Server::new("patient-service", &args)
            .routes(app::routes(app))
            .openapi(app::openapi())
            .routers();
        let (admin, user) = (tokens.token(Role::Admin), tokens.token(Role::User));
        Some(Self {
            database,
            billing,
            peer,
            router,
            admin,
            user,
        })
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    pub async fn call_with(&self, method: Method, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(method, path, Body::from(body), &self.admin, headers).await
    }

    pub async fn as_user(&self, method: Method, path: &str) -> Answer {
        self.send(method, path, Body::empty(), &self.user, &[]).await
    }

    pub async fn raw(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        self.send(method, path, Body::from(body), &self.admin, &[]).await
    }

    pub async fn without_token(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        Answer::read(self.router.clone().oneshot(request).await.expect("an answer")).await
    }

    async fn send(&self, method: Method, path: &str, body: Body, token: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        Answer::read(self.router.clone().oneshot(request).await.expect("an answer")).await
    }

    pub async fn create(&self, name: &str) -> Value {
        let answer = self.call(Method::POST, "/patients", Some(patient(name))).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.body
    }
}

/// A body for a patient whose address follows from the name.
pub fn patient(name: &str) -> Value {
    let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
    json!({"name": name, "email": email, "address": "1 Main St", "dateOfBirth": "1990-05-17"})
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
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
}

/// The address of a billing-service that listens once the test says so.
pub struct Peer {
    pub address: SocketAddr,
    accounts: Accounts,
}

/// The name of a patient for whom the peer opens no account.
pub const REFUSED: &str = "Refused By Billing";

/// The status of each patient's account.
type Accounts = Arc<Mutex<BTreeMap<String, &'static str>>>;

impl Peer {
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
        let service = BillingServiceServer::new(Books(self.accounts.clone()));
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }

    pub fn account(&self, patient: &Value) -> Option<&'static str> {
        let id = patient["id"].as_str().expect("an id");
        self.accounts.lock().expect("the accounts").get(id).copied()
    }
}

struct Books(Accounts);

fn admitted<T>(request: tonic::Request<T>) -> Result<T, Status> {
    match request.metadata().get("x-link-secret") {
        Some(secret) if secret == "the link's secret" => Ok(request.into_inner()),
        _ => Err(Status::unauthenticated("no secret")),
    }
}

#[tonic::async_trait]
impl BillingService for Books {
    async fn create_billing_account(
        &self,
        request: tonic::Request<BillingRequest>,
    ) -> Result<Response<BillingResponse>, Status> {
        let BillingRequest {
            patient_id: patient,
            name,
            ..
        } = admitted(request)?;
        if name == REFUSED {
            return Err(Status::invalid_argument("name is not one"));
        }
        let status = *self
            .0
            .lock()
            .expect("the accounts")
            .entry(patient.clone())
            .or_insert("ACTIVE");
        Ok(Response::new(BillingResponse {
            account_id: format!("account-{patient}"),
            status: status.into(),
        }))
    }

    async fn close_billing_account(
        &self,
        request: tonic::Request<CloseBillingAccountRequest>,
    ) -> Result<Response<CloseBillingAccountResponse>, Status> {
        let patient = admitted(request)?.patient_id;
        self.0.lock().expect("the accounts").insert(patient.clone(), "CLOSED");
        let account_id = format!("account-{patient}");
        Ok(Response::new(CloseBillingAccountResponse {
            account_id,
            status: "CLOSED".into(),
        }))
    }
}

/// Asks until the answer is yes; panics after 20 s.
pub async fn eventually<F: AsyncFn() -> bool>(what: &str, probe: F) {
    for _ in 0..200 {
        if probe().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within 20 s");
}

/// The service, or the end of a test that has no database server.
macro_rules! house {
    () => {
        match House::build().await {
            Some(house) => house,
            None => return,
        }
    };
}
pub(crate) use house;
