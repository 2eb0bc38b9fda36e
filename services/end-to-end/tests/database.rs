//! A database as on Amazon RDS: TLS only, with a private certificate authority, and a password that is rotated every week.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use end_to_end::{Postgres, Replica, Service};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sqlx::{Connection, Executor, PgConnection, raw_sql};

struct Rds {
    folder: tempfile::TempDir,
    postgres: Postgres,
    authority: PathBuf,
}

impl Rds {
    async fn start() -> Self {
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

    async fn sql(&self, text: &'static str) {
        let mut admin = PgConnection::connect(&self.postgres.url("postgres"))
            .await
            .expect("the server");
        admin.execute(raw_sql(text)).await.expect(text);
    }

    /// Starts billing-service with the environment that ECS sets.
    fn service(&self, password: &str, authority: Option<&Path>) -> Replica {
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
        Replica::standalone(Service::Billing, env, &self.folder.path().join("service.log"))
    }

    fn log(&self) -> String {
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

#[tokio::test]
#[ignore = "needs the services' binaries; scripts/test end-to-end runs it"]
async fn a_rotated_password_ends_the_service_with_a_message_and_the_next_one_starts_with_the_new_password() {
    let rds = Rds::start().await;
    let service = rds.service("the-first", Some(&rds.authority));
    service.wait_ready().await;
    rds.sql("alter role billing_owner password 'the-second'").await;
    assert!(service.is_ready().await, "open connections stay open");

    // As after a failover, or at the end of a connection's lifetime.
    rds.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'billing_owner'")
        .await;
    // The next query, here the health check, opens a new connection.
    let _ = service.is_ready().await;
    let ended = service.process().exited(Duration::from_secs(40)).await;
    assert!(!ended.success(), "ECS replaces a task that failed: {ended}");
    let log = rds.log();
    assert!(log.contains("rejected the password (28P01): it was rotated"), "{log}");
    assert!(!log.contains("the-first"), "a password in the log");

    let next = rds.service("the-second", Some(&rds.authority));
    next.wait_ready().await;
}

#[tokio::test]
#[ignore = "needs the services' binaries; scripts/test end-to-end runs it"]
async fn a_server_with_an_untrusted_certificate_gets_no_password() {
    let rds = Rds::start().await;
    let service = rds.service("the-first", None);
    let ended = service.process().exited(Duration::from_secs(20)).await;
    assert!(!ended.success());
    let log = rds.log();
    assert!(
        log.contains("is not trusted") && log.contains("DATABASE_CA_FILE"),
        "{log}"
    );
}
