//! A fake of MSK's IAM listener (port 9098): TLS, then SASL/OAUTHBEARER with a presigned URL, then Kafka.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::role::{KEY_ID, SESSION};

/// The secret access key of the role.
pub const SECRET: &str = "the-secret-of-the-role";
/// API keys of the requests of a handshake (Kafka protocol guide).
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

#[derive(Default)]
struct Counts {
    authenticated: AtomicUsize,
    rejected: AtomicUsize,
    tls_failures: AtomicUsize,
}

pub struct IamListener {
    port: u16,
    ca: String,
    counts: Arc<Counts>,
}

impl IamListener {
    /// Listens on `port` in front of the broker's listener `broker_port`.
    pub async fn start(port: u16, broker_port: u16, region: &'static str) -> Self {
        let (ca, acceptor) = certificates();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counts) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    let mut client = match acceptor.accept(stream).await {
                        Ok(client) => client,
                        Err(error) => {
                            eprintln!("IAM listener: TLS failed: {error}");
                            counts.tls_failures.fetch_add(1, Ordering::Relaxed);
                            return;
                        }
                    };
                    let mut broker = TcpStream::connect(("127.0.0.1", broker_port))
                        .await
                        .expect("the broker");
                    match authenticate(&mut client, &mut broker, region).await {
                        Ok(true) => {
                            counts.authenticated.fetch_add(1, Ordering::Relaxed);
                            let _ = copy_bidirectional(&mut client, &mut broker).await;
                        }
                        Ok(false) => drop(counts.rejected.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => eprintln!("IAM listener: {error}"),
                    }
                });
            }
        });
        Self { port, ca, counts }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn ca(&self) -> &str {
        &self.ca
    }

    pub fn authenticated(&self) -> usize {
        self.counts.authenticated.load(Ordering::Relaxed)
    }

    pub fn rejected(&self) -> usize {
        self.counts.rejected.load(Ordering::Relaxed)
    }

    pub fn tls_failures(&self) -> usize {
        self.counts.tls_failures.load(Ordering::Relaxed)
    }
}

/// Returns a certificate authority, and a TLS acceptor with a certificate that it issued.
fn certificates() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let key = KeyPair::generate().expect("a key");
    let ca = params.self_signed(&key).expect("an authority").pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).expect("parameters");
    let certificate = certificate.signed_by(&own, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(own.serialize_der()).into(),
        );
    (ca, TlsAcceptor::from(Arc::new(config.expect("a server's settings"))))
}

/// Responds to the requests of the handshake, and returns whether the client is authenticated.
async fn authenticate<S: AsyncRead + AsyncWriteExt + Unpin>(
    client: &mut S,
    broker: &mut TcpStream,
    region: &str,
) -> std::io::Result<bool> {
    loop {
        let request = frame(client).await?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let (kind, id) = (number(0), &request[4..8]);
        match kind {
            API_VERSIONS => {
                send(broker, &request).await?;
                let response = frame(broker).await?;
                send(client, &response).await?;
            }
            SASL_HANDSHAKE => {
                let mechanism = b"OAUTHBEARER";
                let mut response = id.to_vec();
                response.extend([0, 0, 0, 0, 0, 1]);
                response.extend(11_i16.to_be_bytes());
                response.extend(mechanism);
                send(client, &response).await?;
            }
            SASL_AUTHENTICATE => {
                let text = String::from_utf8_lossy(&request).into_owned();
                let token = text
                    .split_once("auth=Bearer ")
                    .and_then(|(_, tail)| tail.split('\u{1}').next());
                let valid = token.is_some_and(|token| is_valid(token, region));
                let mut response = id.to_vec();
                let code: i16 = if valid { 0 } else { 58 };
                response.extend(code.to_be_bytes());
                response.extend((-1_i16).to_be_bytes());
                // A response without bytes; from version 1 on, with the lifetime of the session.
                response.extend(0_i32.to_be_bytes());
                if number(2) > 0 {
                    response.extend(0_i64.to_be_bytes());
                }
                send(client, &response).await?;
                return Ok(valid);
            }
            other => {
                let message = format!("request {other} before the handshake");
                return Err(std::io::Error::other(message));
            }
        }
    }
}

async fn frame<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let mut bytes = vec![0; length.clamp(8, 1 << 20) as usize];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn send<S: AsyncWriteExt + Unpin>(stream: &mut S, bytes: &[u8]) -> std::io::Result<()> {
    stream
        .write_u32(u32::try_from(bytes.len()).map_err(std::io::Error::other)?)
        .await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Signs the URL again, as IAM does, and compares the signatures.
fn is_valid(token: &str, region: &str) -> bool {
    let Some(url) = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|url| String::from_utf8(url).ok())
    else {
        return false;
    };
    let Ok(parsed) = url::Url::parse(&url) else {
        return false;
    };
    let query_pairs: HashMap<String, String> = parsed.query_pairs().into_owned().collect();
    let host = format!("kafka.{region}.amazonaws.com");
    let date = query_pairs.get("X-Amz-Date").cloned().unwrap_or_default();
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/kafka-cluster/aws4_request");
    let valid = parsed.host_str() == Some(&host)
        && query_pairs
            .get("Action")
            .is_some_and(|action| action == "kafka-cluster:Connect")
        && query_pairs
            .get("X-Amz-Credential")
            .is_some_and(|it| *it == format!("{KEY_ID}/{scope}"))
        && query_pairs.get("X-Amz-Security-Token").is_some_and(|it| it == SESSION);
    // The pairs as they were sent, sorted by name, without the signature and the user agent.
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.retain(|pair| !pair.starts_with("X-Amz-Signature=") && !pair.starts_with("User-Agent="));
    pairs.sort_unstable();
    let hash = |text: &str| hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{}", pairs.join("&"), hash(""));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(&request));
    let sign = |key: &[u8], text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, region, "kafka-cluster", "aws4_request"] {
        key = sign(&key, part);
    }
    valid && query_pairs.get("X-Amz-Signature") == Some(&hex::encode(sign(&key, &to_sign)))
}
