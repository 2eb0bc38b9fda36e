//! Helpers for tests of services.

mod audit;
mod collector;
mod document;
pub mod exposition;
mod fhir;
mod mailbox;
mod trace_parent;
mod wait;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgPoolOptions};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::database::Pool;
use crate::token::{Claims, ISSUER, Role, Verifier};

pub use audit::{audit_records, check_audit, operations, routes_without_record};
pub use collector::{CollectedSpan, Collector};
pub use document::document_faults;
pub use fhir::check_fhir;
pub use mailbox::Mailbox;
pub use trace_parent::TraceParent;
pub use wait::{wait_for, wait_until};

/// The audience of [`TestTokens`].
pub const AUDIENCE: &str = "patient-management";

/// A database for one test, on the server of `TEST_DATABASE_URL` (a superuser's address).
pub struct TestDatabase {
    /// Connections to the new, empty database.
    pub pool: Pool,
    /// Its address.
    pub url: String,
    server: String,
    name: String,
}

impl TestDatabase {
    /// Creates the database; `None` if there is no server and [`prerequisite`] allows to skip the test.
    ///
    /// # Panics
    /// If there is no server, or it cannot be used: a test must not pass because of that.
    pub async fn create() -> Option<Self> {
        let server = prerequisite(
            "TEST_DATABASE_URL",
            "run scripts/test services, or start a server with scripts/postgres start DIR",
        )?;
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
            pool: pool.into(),
            url,
            server,
            name,
        })
    }

    /// Drops the database, with its open connections.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn drop(self) {
        self.pool.close().await;
        if let Ok(mut admin) = PgConnection::connect(&self.server).await {
            let drop = format!("drop database if exists {} with (force)", self.name);
            admin.execute(AssertSqlSafe(drop)).await.expect("drop database");
        }
    }
}

/// Returns the environment variable that a test requires; `None` if it is not set and `ALLOW_SKIP=1`.
///
/// # Panics
/// If it is not set, so that a test that did not run never passes; `hint` says what to do.
pub fn prerequisite(variable: &str, hint: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        skip(&format!("{variable} is not set: {hint}"));
    }
    value
}

/// Reports that a test is skipped because a prerequisite is missing.
///
/// # Panics
/// Unless `ALLOW_SKIP=1`.
pub fn skip(reason: &str) {
    let allowed = std::env::var("ALLOW_SKIP").is_ok_and(|value| value == "1");
    assert!(allowed, "{reason}; ALLOW_SKIP=1 skips the tests that require it");
    eprintln!("skipped: {reason}");
}

/// A signing key for one test, and tokens signed with it.
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
    /// Generates a P-256 key.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair");
        let pkcs8 = pair.to_pkcs8v1().expect("PKCS#8");
        Self {
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            id: Uuid::new_v4().to_string(),
        }
    }

    /// Returns the public key as auth-service would publish it.
    ///
    /// # Panics
    /// Never: the key is valid.
    pub fn jwks(&self) -> JwkSet {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).expect("a JWK");
        jwk.common.key_id = Some(self.id.clone());
        JwkSet { keys: vec![jwk] }
    }

    /// Returns a verifier that accepts these tokens.
    pub fn verifier(&self) -> Verifier {
        Verifier::from_jwks(&self.jwks(), AUDIENCE)
    }

    /// Returns the claims of a new user, valid for the next 15 minutes.
    pub fn claims(&self, role: Role) -> Claims {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        Claims {
            sub: Uuid::new_v4(),
            email: "user@example.org".into(),
            role,
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            iat: now,
            nbf: now,
            exp: now + 900,
            jti: Uuid::new_v4(),
            sid: Uuid::new_v4(),
        }
    }

    /// Signs any claims.
    ///
    /// # Panics
    /// Never: the key is valid, and claims are JSON.
    pub fn sign(&self, claims: &Claims) -> String {
        let header = Header {
            kid: Some(self.id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, claims, &self.key).expect("a token")
    }

    /// Returns a valid token of a new user with this role.
    pub fn token(&self, role: Role) -> String {
        self.sign(&self.claims(role))
    }
}

/// Returns the tables with a column `patient_id`, in alphabetical order; an export must have all of them.
///
/// # Panics
/// If the database fails.
pub async fn tables_about_patients(pool: &Pool) -> Vec<String> {
    let tables = "select table_name::text from information_schema.columns
                  where table_schema = 'public' and column_name = 'patient_id' order by 1";
    let tables = sqlx::query_scalar(tables).fetch_all(pool).await;
    tables.expect("the tables")
}
