//! A database as on Amazon RDS: TLS only, with a private certificate authority.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use end_to_end::{Postgres, Replica, Service};
use kit::{
    IamArgs,
    database::{DatabaseArgs, Tls},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, raw_sql};

/// The server, with the database `billing` of `billing_owner`.
pub struct Rds {
    folder: tempfile::TempDir,
    postgres: Postgres,
    pub authority: PathBuf,
}

impl Rds {
    /// Starts the server; the password is `the-first`.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let data = folder.path().join("postgres");
        let postgres = Postgres::start(&data, &["billing"]).await;
        let authority = folder.path().join("authority.pem");
        fs::write(&authority, issue_certificate(&data.join("data"))).expect("a file");
        let access = "hostssl all billing_owner 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n";
        fs::write(data.join("data/pg_hba.conf"), access).expect("the access rules");
        let rds = Self {
            folder,
            postgres,
            authority,
        };
        rds.sql("create role billing_owner login password 'the-first'; alter database billing owner to billing_owner;")
            .await;
        rds.sql("alter system set ssl = on").await;
        rds.sql("select pg_reload_conf()").await;
        rds
    }

    /// Executes statements as the superuser.
    pub async fn sql(&self, text: &str) {
        let mut admin = PgConnection::connect(&self.postgres.url("postgres"))
            .await
            .expect("the server");
        admin.execute(raw_sql(AssertSqlSafe(text))).await.expect(text);
    }

    /// Sets the password of `billing_owner`.
    pub async fn set_password(&self, password: &str) {
        self.sql(&format!("alter role billing_owner password '{password}'"))
            .await;
    }

    /// Ends every session of `billing_owner`, as after a failover or at the end of a connection's lifetime.
    pub async fn end_sessions(&self) {
        self.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'billing_owner'")
            .await;
    }

    /// Returns the settings of a service, which reads the secret `arn` with this identity.
    pub fn args(&self, password: &str, arn: &str, iam: IamArgs) -> DatabaseArgs {
        DatabaseArgs {
            database_url: None,
            database_host: "127.0.0.1".into(),
            database_port: self.postgres.port(),
            database_name: "billing".into(),
            database_username: "billing_owner".into(),
            database_password: Some(password.into()),
            database_secret_arn: Some(arn.into()),
            iam,
            database_tls: Tls::VerifyFull,
            database_ca_file: Some(self.authority.clone()),
            database_pool_size: 8,
        }
    }

    /// Starts billing-service with the environment that ECS sets.
    pub fn service(&self, password: &str, authority: Option<&Path>, secret: &[(&str, &str)]) -> Replica {
        let mut env = BTreeMap::new();
        let port = self.postgres.port().to_string();
        for (name, value) in [
            ("DATABASE_HOST", "127.0.0.1"),
            ("DATABASE_PORT", &port),
            ("DATABASE_NAME", "billing"),
            ("DATABASE_USERNAME", "billing_owner"),
            ("DATABASE_PASSWORD", password),
            ("DATABASE_TLS", "verify-full"),
            ("BILLING_LINK_SECRET", "the-secret-of-the-link-of-32-characters"),
            ("AUTH_SERVICE_URL", "http://127.0.0.1:9"),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        if let Some(file) = authority {
            env.insert("DATABASE_CA_FILE".into(), file.display().to_string());
        }
        env.extend(
            secret
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Replica::standalone(Service::Billing, env, &self.folder.path().join("service.log"))
    }

    /// Returns what the services wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("service.log")).unwrap_or_default()
    }
}

/// Writes a certificate for the server's address, and returns its certificate authority.
fn issue_certificate(data: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("an authority").pem();
    let own = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let server = server
        .signed_by(&own, &Issuer::new(params, key))
        .expect("a certificate");
    let owner = fs::metadata(data).expect("the data");
    for (name, text) in [("server.key", own.serialize_pem()), ("server.crt", server.pem())] {
        let file = data.join(name);
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
        chown(&file, Some(owner.uid()), Some(owner.gid())).expect("the server's own file");
    }
    authority
}
