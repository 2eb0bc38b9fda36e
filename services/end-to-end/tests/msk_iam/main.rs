//! TLS and IAM towards the brokers, as MSK has them: Apache Kafka behind a door that does what MSK's listener does.
//!
//! The producer and the consumer are those of the services. The door has a certificate of an authority that the client
//! is told of, and lets nobody in but who shows a URL that is signed with the secret of a task's role. Not proved here:
//! what IAM's policies then allow, which only AWS can say.

mod door;
mod role;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use end_to_end::{Broker, Listener, free_port, until};
use kit::kafka::{self, Handled, Handler, IamArgs, KafkaArgs, Message, Security};
use rdkafka::producer::FutureRecord;
use tokio_util::sync::CancellationToken;

use door::Door;
use role::Role;

const REGION: &str = "eu-central-1";

struct System {
    _folder: tempfile::TempDir,
    _broker: Broker,
    door: Door,
    role: Role,
    authority: PathBuf,
}

impl System {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (free_port(), free_port());
        let listener = Listener {
            name: "DOOR",
            port: inside,
            advertised: outside,
        };
        let broker = Broker::start(&folder.path().join("kafka"), &[listener]).await;
        broker.client().create_topics().await;
        let role = Role::start().await;
        let door = Door::start(outside, inside, REGION).await;
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, door.authority()).expect("a file");
        Self {
            _folder: folder,
            _broker: broker,
            door,
            role,
            authority,
        }
    }

    /// What a service is told, with the role that ECS would give it.
    fn args(&self, secret: &str) -> KafkaArgs {
        KafkaArgs {
            bootstrap_servers: self.door.address(),
            security: Security::MskIam,
            ca_file: Some(self.authority.clone()),
            create_topics: false,
            iam: IamArgs {
                region: Some(REGION.into()),
                full_uri: Some(self.role.of(secret)),
                ..IamArgs::default()
            },
        }
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Handler for Seen {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let text = String::from_utf8_lossy(message.payload).into_owned();
        self.0.lock().expect("the notes").push(text);
        Ok(Handled::Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka; scripts/test end-to-end runs it"]
async fn a_service_with_a_role_produces_and_consumes_over_tls_and_shows_a_token_on_every_connection() {
    let system = System::start().await;
    let args = system.args(door::SECRET);
    let producer = kafka::producer(&args).expect("a producer");
    let record = FutureRecord::to("patient").key("one").payload("hello");
    let sent = producer.send(record, Duration::from_secs(30)).await;
    sent.map_err(|(error, _)| error).expect("the broker takes it");

    let (seen, shutdown) = (Seen::default(), CancellationToken::new());
    let consumer = tokio::spawn(kafka::consume(
        args,
        "group",
        &["patient"],
        seen.clone(),
        shutdown.clone(),
    ));
    until("the message", Duration::from_secs(30), async || {
        *seen.0.lock().expect("the notes") == ["hello"]
    })
    .await;
    shutdown.cancel();
    consumer.await.expect("no panic").expect("an orderly end");

    assert!(system.door.let_in() >= 3, "{} connections", system.door.let_in());
    assert_eq!(system.door.refused(), 0);
    assert!(system.role.asked() > 0, "the credentials are those of the role");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka; scripts/test end-to-end runs it"]
async fn a_token_of_another_secret_opens_nothing_and_so_does_a_server_that_nobody_vouches_for() {
    let system = System::start().await;
    let wrong = kafka::producer(&system.args("another-secret")).expect("a producer");
    until("the door to refuse", Duration::from_secs(30), async || {
        kafka::ping(&wrong).await.is_err() && system.door.refused() > 0
    })
    .await;

    let mut stranger = system.args(door::SECRET);
    stranger.ca_file = None;
    let distrustful = kafka::producer(&stranger).expect("a producer");
    until("the client to break off", Duration::from_secs(30), async || {
        kafka::ping(&distrustful).await.is_err() && system.door.broken_off() > 0
    })
    .await;
    assert_eq!(system.door.let_in(), 0);
}
