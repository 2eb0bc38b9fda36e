//! Tests of TLS and IAM in front of the installed broker, with librdkafka as the client.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientContext, Message};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::lifecycle;
use super::token::tests::signed;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::service::sts::session::Session;
use crate::service::testing::{context_on, create, desired};
use crate::{Call, Context, Service};

/// A client with the credentials of a role, which records the errors that librdkafka reports.
#[derive(Clone)]
struct Role {
    session: Arc<Session>,
    token: String,
    errors: Arc<Mutex<Vec<String>>>,
}

impl ClientContext for Role {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let now = OffsetDateTime::now_utc();
        Ok(OAuthToken {
            token: signed(&self.session, &self.token, now, None),
            principal_name: "role".into(),
            lifetime_ms: (now.unix_timestamp() + 900) * 1000,
        })
    }

    fn error(&self, _: KafkaError, reason: &str) {
        self.errors.lock().push(reason.to_owned());
    }
}

impl ConsumerContext for Role {}

impl Role {
    /// Creates a role with one policy.
    async fn new(cx: &Context, name: &str, action: &str, resource: &str) -> Self {
        let statement = |member: &str, value: &str| json!({"Effect": "Allow", "Action": action, member: value});
        let properties = json!({
            "RoleName": name, "AssumeRolePolicyDocument": {"Statement": statement("Principal", "*")},
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": statement("Resource", resource)}}],
        });
        let created = create(cx, "AWS::IAM::Role", name, properties).await.unwrap();
        let arn = created.attributes["Arn"].as_str().unwrap();
        let ends = OffsetDateTime::now_utc() + time::Duration::hours(1);
        let (session, token) = Session::begin(cx, arn, "unknown-task", ends).unwrap();
        Self {
            session: Arc::new(session),
            token,
            errors: Arc::default(),
        }
    }

    fn config(cx: &Context, brokers: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanism", "OAUTHBEARER")
            .set("group.id", "group")
            .set("auto.offset.reset", "earliest")
            .set(
                "ssl.ca.pem",
                CertificateAuthority::for_public_names(cx.root_dir())
                    .certificate_pem()
                    .unwrap(),
            );
        config
    }

    fn producer(&self, config: &ClientConfig) -> FutureProducer<Self> {
        config.create_with_context(self.clone()).unwrap()
    }

    /// Waits until librdkafka reports an error that contains all of these.
    async fn wait_for_error(&self, parts: &[&str]) {
        for _ in 0..300 {
            let found = |reason: &String| parts.iter().all(|part| reason.contains(part));
            if self.errors.lock().iter().any(found) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no error has {parts:?}: {:?}", self.errors.lock());
    }
}

fn properties(unauthenticated: bool, transit: &str) -> Value {
    json!({
        "ClusterName": "guarded", "KafkaVersion": "4.0.x.kraft", "NumberOfBrokerNodes": 2,
        "BrokerNodeGroupInfo": {"ClientSubnets": ["subnet-1", "subnet-2"], "InstanceType": "kafka.t3.small"},
        "ClientAuthentication": {"Sasl": {"Iam": {"Enabled": true}}, "Unauthenticated": {"Enabled": unauthenticated}},
        "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": transit, "InCluster": true}},
    })
}

async fn brokers(cx: &Context, cluster: &str) -> Value {
    let call = Call {
        operation: "GetBootstrapBrokers".into(),
        input: json!({"clusterArn": cluster}),
        region: "us-east-1".into(),
    };
    super::Kafka.call(cx, call).await.unwrap()
}

async fn accepts_connections(address: &str) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_iam_accepts_only_authorized_roles_over_tls() {
    let (cx, _folder) = context_on(78);
    cx.register(vec![
        super::service(),
        crate::service::iam::service(),
        crate::service::ecs::service(),
    ]);
    let open = properties(true, "TLS_PLAINTEXT");
    let created = create(&cx, "AWS::MSK::Cluster", "Cluster", open.clone()).await.unwrap();
    let cluster = created.physical_id;
    let found = brokers(&cx, &cluster).await;
    assert_eq!(found["bootstrapBrokerString"], "127.78.2.1:9092");
    assert_eq!(found["bootstrapBrokerStringSaslIam"], "127.78.2.1:9098");

    let topic = json!({"ClusterArn": cluster, "TopicName": "patient", "PartitionCount": 1, "ReplicationFactor": 2});
    create(&cx, "AWS::MSK::Topic", "Topic", topic).await.unwrap();
    let resource_type = cx.resource_type("AWS::MSK::Cluster").unwrap();
    let closed = desired("Cluster", properties(false, "TLS"));
    resource_type.update(&cx, &cluster, &open, &closed).await.unwrap();
    let found = brokers(&cx, &cluster).await;
    assert_eq!(found, json!({"bootstrapBrokerStringSaslIam": "127.78.2.1:9098"}));
    assert!(!accepts_connections("127.78.2.1:9092").await, "plaintext is off");

    let config = Role::config(&cx, "127.78.2.1:9098");
    let role = Role::new(&cx, "may", "kafka-cluster:Connect", &cluster).await;
    let producer = role.producer(&config);
    let record = FutureRecord::to("patient").key("one").payload("hello");
    let sent = producer.send(record, Duration::from_secs(30)).await;
    sent.map_err(|(error, _)| (error, role.errors.lock().clone()))
        .expect("the broker accepts the record");
    let consumer: StreamConsumer<Role> = config.create_with_context(role.clone()).unwrap();
    consumer.subscribe(&["patient"]).unwrap();
    let message = tokio::time::timeout(Duration::from_secs(30), consumer.recv());
    let payload = message.await.expect("in time").unwrap().payload().map(<[u8]>::to_vec);
    assert_eq!(payload.as_deref(), Some(&b"hello"[..]));

    let unauthorized = Role::new(
        &cx,
        "may-not",
        "kafka-cluster:Connect",
        "arn:aws:kafka:*:*:cluster/others/*",
    )
    .await;
    let rejected = unauthorized.producer(&config);
    unauthorized
        .wait_for_error(&["arn:aws:iam::000000000000:role/may-not", "kafka-cluster:Connect"])
        .await;
    let secret = &unauthorized.session.secret;
    assert!(!unauthorized.errors.lock().iter().any(|reason| reason.contains(secret)));
    let without_ca = Role::new(&cx, "without-ca", "*", "*").await;
    let _producer = without_ca.producer(Role::config(&cx, "127.78.2.1:9098").remove("ssl.ca.pem"));
    without_ca.wait_for_error(&["certificate verify failed"]).await;
    let mut plain = ClientConfig::new();
    plain
        .set("bootstrap.servers", "127.78.2.1:9098")
        .set("security.protocol", "ssl");
    plain.set("ssl.ca.pem", config.get("ssl.ca.pem").unwrap());
    let without: FutureProducer = plain.create().unwrap();
    let fetched =
        tokio::task::spawn_blocking(move || without.client().fetch_metadata(None, Duration::from_secs(2)).is_ok());
    assert!(!fetched.await.unwrap(), "a client without a token gets no response");

    drop((producer, consumer, rejected));
    lifecycle::delete(&cx, &cluster).await.unwrap();
    assert!(
        !accepts_connections("127.78.2.1:9098").await,
        "the proxy is stopped with its cluster"
    );
    cx.shutdown().cancel();
}
