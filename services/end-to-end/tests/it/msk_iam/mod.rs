//! TLS and IAM authentication at the brokers, as on MSK: Apache Kafka behind a fake of MSK's IAM listener.
//!
//! Producer and consumer are those of the services. The listener has a certificate of a private authority, and accepts
//! only URLs that are signed with the secret of a task role. Policies of IAM are not tested; only AWS evaluates them.

mod iam_listener;
mod role;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use end_to_end::{Broker, Listener, free_port, wait_until};
use kit::IamArgs;
use kit::kafka::{self, Handled, Handler, KafkaArgs, Message, Security};
use parking_lot::Mutex;
use rdkafka::producer::FutureRecord;
use tokio_util::sync::CancellationToken;

use iam_listener::IamListener;
use role::Role;

const REGION: &str = "eu-central-1";

struct System {
    _folder: tempfile::TempDir,
    _broker: Broker,
    listener: IamListener,
    role: Role,
    ca_file: PathBuf,
}

impl System {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (broker_port, port) = (free_port(), free_port());
        let listener = Listener {
            name: "IAM",
            port: broker_port,
            advertised: port,
        };
        let broker = Broker::start(&folder.path().join("kafka"), &[listener]).await;
        broker.client().create_topics().await;
        let role = Role::start().await;
        let listener = IamListener::start(port, broker_port, REGION).await;
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, listener.ca()).expect("a file");
        Self {
            _folder: folder,
            _broker: broker,
            listener,
            role,
            ca_file,
        }
    }

    /// Returns the settings of a service, with the role that ECS would set.
    fn args(&self, secret: &str) -> KafkaArgs {
        KafkaArgs {
            bootstrap_servers: self.listener.address(),
            security: Security::MskIam,
            ca_file: Some(self.ca_file.clone()),
            create_topics: false,
            iam: IamArgs {
                region: Some(REGION.into()),
                full_uri: Some(self.role.uri(secret)),
                ..IamArgs::default()
            },
        }
    }
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Handler for Received {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let text = String::from_utf8_lossy(message.payload).into_owned();
        self.0.lock().push(text);
        Ok(Handled::Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka; scripts/test end-to-end runs it"]
async fn a_service_with_a_role_produces_and_consumes_over_tls_with_a_token_on_every_connection() {
    let system = System::start().await;
    let args = system.args(iam_listener::SECRET);
    let producer = kafka::producer(&args).expect("a producer");
    let record = FutureRecord::to("patient").key("one").payload("hello");
    let sent = producer.send(record, Duration::from_secs(30)).await;
    sent.map_err(|(error, _)| error).expect("an acknowledged message");

    let (received, shutdown) = (Received::default(), CancellationToken::new());
    let consumer = tokio::spawn(kafka::consume(
        args,
        "group",
        &["patient"],
        received.clone(),
        shutdown.clone(),
    ));
    wait_until("the message", Duration::from_secs(30), async || {
        *received.0.lock() == ["hello"]
    })
    .await;
    shutdown.cancel();
    consumer.await.expect("no panic").expect("an orderly end");

    assert!(
        system.listener.authenticated() >= 3,
        "{} connections",
        system.listener.authenticated()
    );
    assert_eq!(system.listener.rejected(), 0);
    assert!(system.role.requests() > 0, "the credentials are those of the role");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka; scripts/test end-to-end runs it"]
async fn a_token_of_another_secret_and_an_untrusted_server_are_rejected() {
    let system = System::start().await;
    let wrong = kafka::producer(&system.args("another-secret")).expect("a producer");
    wait_until(
        "the listener to reject the token",
        Duration::from_secs(30),
        async || kafka::ping(&wrong).await.is_err() && system.listener.rejected() > 0,
    )
    .await;

    let mut untrusting = system.args(iam_listener::SECRET);
    untrusting.ca_file = None;
    let untrusting = kafka::producer(&untrusting).expect("a producer");
    wait_until(
        "the client to reject the certificate",
        Duration::from_secs(30),
        async || kafka::ping(&untrusting).await.is_err() && system.listener.tls_failures() > 0,
    )
    .await;
    assert_eq!(system.listener.authenticated(), 0);
}
