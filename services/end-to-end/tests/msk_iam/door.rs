//! What MSK's listener on port 9098 does: TLS, then SASL/OAUTHBEARER with a URL that is signed, then Kafka.

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

use crate::role::{KEY_ID, SESSION};

/// What the key of the role is signed with.
pub const SECRET: &str = "the-secret-of-the-role";
/// Kafka's numbers for the requests of a handshake (Kafka protocol guide).
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

#[derive(Default)]
struct Counts {
    let_in: AtomicUsize,
    refused: AtomicUsize,
    broken_off: AtomicUsize,
}

pub struct Door {
    port: u16,
    authority: String,
    counts: Arc<Counts>,
}

impl Door {
    /// A door on `port` before the broker's listener `inside`.
    pub async fn start(port: u16, inside: u16, region: &'static str) -> Self {
        let (authority, acceptor) = certificates();
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
                            eprintln!("door: no TLS: {error}");
                            counts.broken_off.fetch_add(1, Ordering::Relaxed);
                            return;
                        }
                    };
                    let mut broker = TcpStream::connect(("127.0.0.1", inside)).await.expect("the broker");
                    match admit(&mut client, &mut broker, region).await {
                        Ok(true) => {
                            counts.let_in.fetch_add(1, Ordering::Relaxed);
                            let _ = copy_bidirectional(&mut client, &mut broker).await;
                        }
                        Ok(false) => drop(counts.refused.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => eprintln!("door: {error}"),
                    }
                });
            }
        });
        Self {
            port,
            authority,
            counts,
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn let_in(&self) -> usize {
        self.counts.let_in.load(Ordering::Relaxed)
    }

    pub fn refused(&self) -> usize {
        self.counts.refused.load(Ordering::Relaxed)
    }

    pub fn broken_off(&self) -> usize {
        self.counts.broken_off.load(Ordering::Relaxed)
    }
}

/// An authority, and a server with a certificate of it.
fn certificates() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("an authority").pem();
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
    (
        authority,
        TlsAcceptor::from(Arc::new(config.expect("a server's settings"))),
    )
}

/// Whether the client may go on to the broker; until then only the handshake is answered.
async fn admit<S: AsyncRead + AsyncWriteExt + Unpin>(
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
                let answer = frame(broker).await?;
                send(client, &answer).await?;
            }
            SASL_HANDSHAKE => {
                let mechanism = b"OAUTHBEARER";
                let mut answer = id.to_vec();
                answer.extend([0, 0, 0, 0, 0, 1]);
                answer.extend((mechanism.len() as i16).to_be_bytes());
                answer.extend(mechanism);
                send(client, &answer).await?;
            }
            SASL_AUTHENTICATE => {
                let text = String::from_utf8_lossy(&request).into_owned();
                let token = text
                    .split_once("auth=Bearer ")
                    .and_then(|(_, rest)| rest.split('\u{1}').next());
                let fine = token.is_some_and(|token| holds(token, region));
                let mut answer = id.to_vec();
                let code: i16 = if fine { 0 } else { 58 };
                answer.extend(code.to_be_bytes());
                answer.extend((-1_i16).to_be_bytes());
                // An answer without bytes; from version 1 on, how long the session holds.
                answer.extend(0_i32.to_be_bytes());
                if number(2) > 0 {
                    answer.extend(0_i64.to_be_bytes());
                }
                send(client, &answer).await?;
                return Ok(fine);
            }
            other => {
                let words = format!("request {other} before the handshake");
                return Err(std::io::Error::other(words));
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
    stream.write_u32(bytes.len() as u32).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Signs what the URL says anew, as IAM does, and compares.
fn holds(token: &str, region: &str) -> bool {
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
    let told: HashMap<String, String> = parsed.query_pairs().into_owned().collect();
    let host = format!("kafka.{region}.amazonaws.com");
    let date = told.get("X-Amz-Date").cloned().unwrap_or_default();
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/kafka-cluster/aws4_request");
    let fine = parsed.host_str() == Some(&host)
        && told
            .get("Action")
            .is_some_and(|action| action == "kafka-cluster:Connect")
        && told
            .get("X-Amz-Credential")
            .is_some_and(|it| *it == format!("{KEY_ID}/{scope}"))
        && told.get("X-Amz-Security-Token").is_some_and(|it| it == SESSION);
    // As it was sent: the pairs in the order of their names, without the signature and what follows it.
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
    fine && told.get("X-Amz-Signature") == Some(&hex::encode(sign(&key, &to_sign)))
}
