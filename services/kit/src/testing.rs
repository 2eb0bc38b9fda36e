//! What tests of services share.

mod collector;
mod document;
pub mod exposition;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, postgres::PgPoolOptions};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::token::{Claims, ISSUER, Role, Verifier};

pub use collector::{Collected, Collector};
pub use document::document_faults;

/// The audience of [`TestTokens`].
pub const AUDIENCE: &str = "patient-management";

/// A database of a test's own, on the server that `TEST_DATABASE_URL` (a superuser's) names.
pub struct TestDatabase {
    /// Connections to the new, empty database.
    pub pool: PgPool,
    /// Its address.
    pub url: String,
    server: String,
    name: String,
}

impl TestDatabase {
    /// Creates the database; without `TEST_DATABASE_URL` it says that the test is skipped and gives none.
    ///
    /// # Panics
    /// When the server is given and cannot be used: a test must not pass for that.
    pub async fn create() -> Option<Self> {
        let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
            eprintln!("skipped: TEST_DATABASE_URL is not set");
            return None;
        };
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(&server)
            .await
            .expect("the server of TEST_DATABASE_URL");
        admin
            .execute(AssertSqlSafe(format!("create database {name}")))
            .await
            .expect("create database");
        let mut address = url::Url::parse(&server).expect("TEST_DATABASE_URL is a URL");
        address.set_path(&name);
        let url = address.to_string();
        let pool = PgPoolOptions::new()
            .max_connections(12)
            .connect(&url)
            .await
            .expect("the new database");
        Some(Self {
            pool,
            url,
            server,
            name,
        })
    }

    /// Drops the database, whoever is still connected.
    pub async fn drop(self) {
        self.pool.close().await;
        if let Ok(mut admin) = PgConnection::connect(&self.server).await {
            let drop = format!("drop database if exists {} with (force)", self.name);
            admin.execute(AssertSqlSafe(drop)).await.expect("drop database");
        }
    }
}

/// A signing key of a test's own, and tokens made with it.
pub struct TestTokens {
    key: EncodingKey,
    id: String,
}

impl Default for TestTokens {
    fn default() -> Self {
        Self::new()
    }
}

impl TestTokens {
    /// Makes a new P-256 key.
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair");
        let pkcs8 = pair.to_pkcs8v1().expect("PKCS#8");
        Self {
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            id: Uuid::new_v4().to_string(),
        }
    }

    /// The public key, as auth-service would publish it.
    pub fn jwks(&self) -> JwkSet {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).expect("a JWK");
        jwk.common.key_id = Some(self.id.clone());
        JwkSet { keys: vec![jwk] }
    }

    /// A verifier that trusts these tokens.
    pub fn verifier(&self) -> Verifier {
        Verifier::from_jwks(&self.jwks(), AUDIENCE)
    }

    /// Claims that hold for the next minutes, of a new user.
    pub fn claims(&self, role: Role) -> Claims {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        Claims {
            sub: Uuid::new_v4(),
            email: "somebody@example.org".into(),
            role,
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            iat: now,
            nbf: now,
            exp: now + 900,
            jti: Uuid::new_v4(),
        }
    }

    /// A token with any claims.
    pub fn sign(&self, claims: &Claims) -> String {
        let header = Header {
            kid: Some(self.id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, claims, &self.key).expect("a token")
    }

    /// A token that holds, of a new user with this role.
    pub fn token(&self, role: Role) -> String {
        self.sign(&self.claims(role))
    }
}
