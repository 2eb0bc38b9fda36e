//! The platform, or a part of it, for one test.

mod environment;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::future::join_all;
use parking_lot::Mutex;
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Broker, Client, Kafka, Link, MailServer, Options, Postgres, Proxy, Replica, Service, broker::Listener, free_port,
    log, tools::binary,
};

/// The processes, the links between them, and the folder with their data and logs; dropping it ends and deletes them.
#[derive(Debug)]
pub struct System {
    // Fields are dropped in this order: services first.
    replicas: Mutex<Vec<Arc<Replica>>>,
    broker: Option<Broker>,
    postgres: Option<Postgres>,
    mail: MailServer,
    links: BTreeMap<Link, Proxy>,
    pools: Mutex<BTreeMap<Service, PgPool>>,
    secrets: BTreeMap<&'static str, String>,
    options: Options,
    folder: Option<TempDir>,
    started: std::sync::atomic::AtomicUsize,
}

impl System {
    /// Email address and password of the admin in the demo data.
    pub const ADMIN: (&str, &str) = ("testuser@test.com", "password123");

    /// Starts a system and waits until every service is ready.
    ///
    /// # Panics
    /// If something does not start; the message says what to do, or has the log.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("end-to-end.").tempdir();
        let folder = folder.expect("a folder for the system");
        // As root, the database server runs as another user, who must be able to enter the folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions of the folder");

        let with_kafka = options.services.iter().any(|service| service.uses_kafka());
        let databases: Vec<&str> = options
            .services
            .iter()
            .filter_map(|service| service.database())
            .collect();
        let listeners = [
            (Service::Patient, "PATIENT"),
            (Service::Billing, "BILLING"),
            (Service::Analytics, "ANALYTICS"),
            (Service::Notification, "NOTIFICATION"),
            (Service::Audit, "AUDIT"),
        ]
        .map(|(service, name)| {
            let listener = Listener {
                name,
                port: free_port(),
                advertised: free_port(),
            };
            (service, listener)
        });
        let mut links = BTreeMap::new();
        for (service, listener) in &listeners {
            let proxy = Proxy::start(listener.advertised, [local(listener.port)]);
            if with_kafka {
                links.insert(Link::Kafka(*service), proxy.await);
            }
        }
        let listeners = listeners.map(|(_, listener)| listener);
        let broker = async {
            if !with_kafka {
                return None;
            }
            let broker = Broker::start(&folder.path().join("kafka"), &listeners).await;
            broker.client().create_topics().await;
            Some(broker)
        };
        let postgres = async {
            if databases.is_empty() {
                return None;
            }
            Some(Postgres::start(&folder.path().join("postgres"), &databases).await)
        };
        let (broker, postgres) = tokio::join!(broker, postgres);
        if let Some(postgres) = &postgres {
            for service in options.services.iter().filter(|service| service.database().is_some()) {
                let proxy = Proxy::start(free_port(), [local(postgres.port())]).await;
                links.insert(Link::Postgres(*service), proxy);
            }
        }
        for service in Service::ALL {
            links.insert(Link::Http(service), Proxy::start(free_port(), []).await);
        }
        links.insert(Link::Grpc, Proxy::start(free_port(), []).await);
        let secret = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let names = ["AUTH_KEY_ENCRYPTION_KEY", "BILLING_LINK_SECRET", "DATABASE_PASSWORD"];

        let system = Self {
            replicas: Mutex::default(),
            broker,
            postgres,
            mail: MailServer::start().await,
            links,
            pools: Mutex::default(),
            secrets: names.into_iter().map(|name| (name, secret())).collect(),
            options,
            folder: Some(folder),
            started: std::sync::atomic::AtomicUsize::new(0),
        };
        let services = system.options.services.iter();
        let processes = services.flat_map(|service| {
            let count = system.options.replicas.get(service).copied().unwrap_or(1);
            std::iter::repeat_n(*service, count)
        });
        let started: Vec<_> = processes.map(|service| system.spawn(service)).collect();
        join_all(started.into_iter().map(async |replica| {
            replica.wait_ready().await;
            system.attach(&replica).await;
        }))
        .await;
        system
    }

    /// Returns the base URL of the gateway.
    pub fn url(&self) -> String {
        self.base(Service::Gateway)
    }

    /// Returns the base URL of a service, through its proxy.
    pub fn base(&self, service: Service) -> String {
        format!("http://{}", self.link(Link::Http(service)).address())
    }

    /// Returns the proxy of a link.
    ///
    /// # Panics
    /// If this system has no such link.
    pub fn link(&self, link: Link) -> &Proxy {
        self.links
            .get(&link)
            .unwrap_or_else(|| panic!("this system has no link {link:?}"))
    }

    /// Returns the first process of a service.
    ///
    /// # Panics
    /// If there is none.
    pub fn replica(&self, service: Service) -> Arc<Replica> {
        let first = self.replicas(service).into_iter().next();
        first.unwrap_or_else(|| panic!("{} does not run in this system", service.name()))
    }

    /// Returns the processes of a service, oldest first; those that have ended are included until they are removed.
    pub fn replicas(&self, service: Service) -> Vec<Arc<Replica>> {
        let replicas = self.replicas.lock();
        replicas
            .iter()
            .filter(|replica| replica.service() == service)
            .cloned()
            .collect()
    }

    /// Starts one more process of a service, and sends it its share of new connections once it is ready.
    pub async fn add_replica(&self, service: Service) -> Arc<Replica> {
        let replica = self.spawn(service);
        replica.wait_ready().await;
        self.attach(&replica).await;
        replica
    }

    /// Detaches a process from its proxies and from this system.
    ///
    /// The process runs until its last reference is dropped.
    pub fn remove_replica(&self, replica: &Replica) {
        self.detach(replica);
        let mut replicas = self.replicas.lock();
        replicas.retain(|other| other.address() != replica.address());
    }

    /// Detaches a process from its proxies: it gets no new connections.
    pub fn detach(&self, replica: &Replica) {
        self.link(Link::Http(replica.service()))
            .remove_server(replica.address());
        if let Some(grpc) = replica.grpc() {
            self.link(Link::Grpc).remove_server(grpc);
        }
    }

    /// Attaches a process to its proxies.
    pub async fn attach(&self, replica: &Replica) {
        self.link(Link::Http(replica.service()))
            .add_server(replica.address())
            .await;
        if let Some(grpc) = replica.grpc() {
            self.link(Link::Grpc).add_server(grpc).await;
        }
    }

    /// Returns a client of the gateway without a token.
    pub fn anonymous(&self) -> Client {
        Client::new(self.url())
    }

    /// Logs in and returns a client with the token, of the gateway or, without a gateway, of auth-service.
    ///
    /// # Panics
    /// If the login fails.
    pub async fn login(&self, email: &str, password: &str) -> Client {
        let has_gateway = self.options.services.contains(&Service::Gateway);
        let (base, path) = if has_gateway {
            (self.url(), "/auth/login")
        } else {
            (self.base(Service::Auth), "/login")
        };
        let client = Client::new(base);
        let login = json!({"email": email, "password": password});
        let response = client.post(path).json(&login).response().await;
        assert_eq!(response.status, 200, "login of {email}: {}", response.text());
        let token = response.json()["token"].as_str().expect("a token").to_owned();
        client.with_token(token)
    }

    /// Logs in the admin of the demo data.
    pub async fn admin(&self) -> Client {
        self.login(Self::ADMIN.0, Self::ADMIN.1).await
    }

    /// Creates a user with the role AUDITOR, and logs it in.
    ///
    /// # Panics
    /// If the user cannot be created.
    pub async fn auditor(&self) -> Client {
        let (email, password) = (
            format!("auditor.{}@example.org", Uuid::new_v4().simple()),
            "longenough1",
        );
        let user = json!({"email": email, "password": password, "role": "AUDITOR"});
        let response = self.admin().await.post("/auth/users").json(&user).response().await;
        assert_eq!(response.status, 201, "{}", response.text());
        self.login(&email, password).await
    }

    /// Returns connections to the database of a service, without a proxy.
    ///
    /// # Panics
    /// If the service has none.
    pub fn database(&self, service: Service) -> PgPool {
        let mut pools = self.pools.lock();
        let pool = pools.entry(service).or_insert_with(|| {
            let name = service.database().expect("a service with a database");
            let options = PgPoolOptions::new().max_connections(8);
            options.connect_lazy(&self.postgres().url(name)).expect("an address")
        });
        pool.clone()
    }

    /// Returns the database server.
    ///
    /// # Panics
    /// If this system has none.
    pub fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().expect("a system with a database")
    }

    /// Returns the broker.
    ///
    /// # Panics
    /// If this system has none.
    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("a system with a broker")
    }

    /// Returns the mail server of notification-service.
    pub fn mail(&self) -> &MailServer {
        &self.mail
    }

    /// Returns a client of the broker, without a proxy.
    pub fn kafka(&self) -> Kafka {
        self.broker().client()
    }

    /// Returns a generated secret: `AUTH_KEY_ENCRYPTION_KEY`, `BILLING_LINK_SECRET` or `DATABASE_PASSWORD`.
    ///
    /// # Panics
    /// For any other name.
    pub fn secret(&self, name: &str) -> &str {
        &self.secrets[name]
    }

    /// Returns the log lines of all processes of a service, since the start of the system.
    pub fn log_lines(&self, service: Service) -> Vec<String> {
        let prefix = format!("{}.", service.name());
        let files = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = files
            .map(|file| file.path())
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            })
            .collect();
        files.sort();
        files.iter().flat_map(|path| log::lines(path)).collect()
    }

    /// Returns the folder with the data and the logs.
    ///
    /// # Panics
    /// Never: the folder exists until the system is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the folder is there until the end").path()
    }

    fn spawn(&self, service: Service) -> Arc<Replica> {
        let number = self.started.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = self.folder().join(format!("{}.{number:03}.log", service.name()));
        let mut env = self.environment(service);
        // The application_name of the process's sessions at PostgreSQL.
        env.insert("PGAPPNAME".into(), format!("{}.{number:03}", service.name()));
        let replica = Replica::start(service, env, &binary(service), &log);
        let replica = Arc::new(replica);
        let mut replicas = self.replicas.lock();
        replicas.push(replica.clone());
        replica
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.replicas.get_mut().clear();
        self.broker = None;
        self.postgres = None;
        let keep = std::thread::panicking() || std::env::var_os("END_TO_END_KEEP").is_some();
        if let Some(folder) = self.folder.take()
            && keep
        {
            eprintln!("logs and data are kept in {}", folder.keep().display());
        }
    }
}

fn local(port: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], port).into()
}
