//! An identity provider on loopback that misbehaves on demand.

use std::collections::HashMap;
use std::sync::Arc;

use auth_service::oidc::{Provider, RoleMap, Settings};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use url::Url;

pub const CLIENT_ID: &str = "clinic";
/// Needs form encoding in the header.
const CLIENT_SECRET: &str = "a secret:+/";
pub const REDIRECT_URI: &str = "https://clinic.example/auth/oidc/callback";

/// An ID token before it is sent.
pub struct Token {
    pub header: Value,
    pub claims: Value,
    /// Replaces the signature.
    pub signature: Option<String>,
}

struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

struct Grant {
    nonce: String,
    challenge: String,
}

type Forge = Box<dyn Fn(&mut Token) + Send>;

pub struct Shared {
    issuer: String,
    key: Key,
    codes: HashMap<String, Grant>,
    /// The claims of the user.
    pub claims: Value,
    /// The response of the `UserInfo` endpoint.
    pub user_info: Value,
    /// Changes the next ID tokens.
    pub forge: Option<Forge>,
    /// Response of the token endpoint instead of a token.
    pub answer: Option<(u16, String)>,
}

#[derive(Clone)]
pub struct FakeProvider {
    pub issuer: String,
    pub shared: Arc<Mutex<Shared>>,
}

fn new_key() -> Key {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
    let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, pair.public_key().as_ref()));
    Key { id, pair }
}

impl FakeProvider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            issuer: issuer.clone(),
            key: new_key(),
            codes: HashMap::new(),
            claims: json!({
                "sub": "subject-1", "email": "Ada@Example.org", "email_verified": true, "roles": ["staff", "clinicians"]
            }),
            user_info: Value::Null,
            forge: None,
            answer: None,
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/user-info", get(user_info))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, shared }
    }

    pub fn settings(&self) -> Settings {
        Settings {
            issuer: self.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(CLIENT_SECRET.into()),
            redirect_uri: REDIRECT_URI.parse().unwrap(),
            scopes: "openid email".to_owned(),
            roles_claim: "roles".to_owned(),
            role_map: RoleMap::parse("admins=ADMIN,clinicians=USER").unwrap(),
            allow_unverified_email: false,
            session_lifetime: Duration::hours(12),
        }
    }

    pub fn client(&self) -> Arc<Provider> {
        Arc::new(Provider::new(self.settings()).unwrap())
    }

    /// Logs the user in, and returns the code for the client.
    pub fn authorize(&self, request: &Url) -> String {
        let query: HashMap<_, _> = request.query_pairs().into_owned().collect();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid email"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(query[name], value);
        }
        let code = uuid::Uuid::new_v4().to_string();
        let grant = Grant {
            nonce: query["nonce"].clone(),
            challenge: query["code_challenge"].clone(),
        };
        self.shared.lock().codes.insert(code.clone(), grant);
        code
    }

    /// Replaces the key.
    pub fn rotate(&self) {
        self.shared.lock().key = new_key();
    }

    /// Changes a claim of the user.
    pub fn set(&self, claim: &str, value: Value) {
        self.shared.lock().claims[claim] = value;
    }

    pub fn forge(&self, forge: impl Fn(&mut Token) + Send + 'static) {
        self.shared.lock().forge = Some(Box::new(forge));
    }
}

type Provided = State<Arc<Mutex<Shared>>>;

async fn discovery(State(shared): Provided) -> Json<Value> {
    let issuer = &shared.lock().issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?kept=1"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/user-info"),
    }))
}

async fn keys(State(shared): Provided) -> Json<Value> {
    let shared = shared.lock();
    let point = shared.key.pair.public_key().as_ref();
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Json(json!({"keys": [
        {"kty": "future", "kid": "1"},
        {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0"},
        {
            "kty": "EC", "crv": "P-256", "kid": shared.key.id, "use": "sig", "alg": "ES256",
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..])
        },
    ]}))
}

async fn token(State(shared): Provided, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Response {
    let mut shared = shared.lock();
    let shared = &mut *shared;
    if let Some((status, body)) = &shared.answer {
        return (StatusCode::from_u16(*status).unwrap(), body.clone()).into_response();
    }
    let credentials = STANDARD.encode(format!("{CLIENT_ID}:a+secret%3A%2B%2F"));
    assert_eq!(headers["authorization"], format!("Basic {credentials}"));
    let grant = shared.codes.remove(&form["code"]);
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    let valid = grant.filter(|grant| grant.challenge == challenge && form["redirect_uri"] == REDIRECT_URI);
    let Some(grant) = valid else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut claims = json!({
        "iss": shared.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": grant.nonce
    });
    claims
        .as_object_mut()
        .unwrap()
        .extend(shared.claims.as_object().unwrap().clone());
    let mut token = Token {
        header: json!({"alg": "ES256", "kid": shared.key.id}),
        claims,
        signature: None,
    };
    if let Some(forge) = &shared.forge {
        forge(&mut token);
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&token.header), part(&token.claims));
    let signature = shared.key.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let signature = token.signature.unwrap_or(URL_SAFE_NO_PAD.encode(signature));
    Json(json!({
        "id_token": format!("{message}.{signature}"), "access_token": "opaque", "token_type": "Bearer"
    }))
    .into_response()
}

async fn user_info(State(shared): Provided, headers: HeaderMap) -> Json<Value> {
    assert_eq!(headers["authorization"], "Bearer opaque");
    Json(shared.lock().user_info.clone())
}
