//! The door before a broker: TLS, then SASL/OAUTHBEARER, then whatever the client says to the broker.
//!
//! Neither Kafka nor nisshi knows what MSK's listener on port 9098 does, so it is done here. Behind the door the broker
//! has a listener that tells its clients the door's address: whom the door lets in once, it sees again for each
//! connection. It decides at the beginning of a connection, which may then outlive its token.

mod sasl;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::authority::Authority;
use sasl::{Asked, MECHANISM};

/// How long a client may take until it is let in.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest request of a client that is not let in yet, in bytes.
const LARGEST: u32 = 64 * 1024;
/// The most requests that it may make; each mechanism needs three.
const MOST: usize = 16;

/// Says whether a token opens the door; the error is why not, in words that tell no secret.
pub type Admits = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// An open door; dropping it closes it, and ends the connections through it.
pub struct Door {
    _closes: DropGuard,
}

/// Opens a door at `address` to the broker's listener `inside`, with a certificate for that address.
///
/// # Errors
/// When the address is taken, or no certificate can be made.
pub fn open(
    address: SocketAddr,
    inside: SocketAddr,
    authority: &Authority,
    admits: Admits,
    stop: CancellationToken,
) -> anyhow::Result<Door> {
    let acceptor = acceptor(authority, address)?;
    let socket =
        std::net::TcpListener::bind(address).with_context(|| format!("the door cannot listen on {address}"))?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let until = stop.clone();
    tokio::spawn(async move {
        loop {
            let client = tokio::select! {
                () = until.cancelled() => return,
                accepted = socket.accept() => match accepted {
                    Ok((client, _)) => client,
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (acceptor, admits, until) = (acceptor.clone(), admits.clone(), until.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = until.cancelled() => {}
                    done = serve(client, inside, &acceptor, &admits) => if let Err(error) = done {
                        tracing::info!(door = %address, "a client of a Kafka cluster is not let in: {error:#}");
                    },
                }
            });
        }
    });
    Ok(Door {
        _closes: stop.drop_guard(),
    })
}

fn acceptor(authority: &Authority, address: SocketAddr) -> anyhow::Result<TlsAcceptor> {
    let (certificate, key) = authority.issue(&[address.ip().to_string()])?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS is not available")?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .context("the certificate does not fit")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(client: TcpStream, inside: SocketAddr, acceptor: &TlsAcceptor, admits: &Admits) -> anyhow::Result<()> {
    let _ = client.set_nodelay(true);
    let admitted = timeout(PATIENCE, async {
        let mut client = acceptor.accept(client).await.context("no TLS")?;
        let mut broker = TcpStream::connect(inside).await.context("the broker does not answer")?;
        let _ = broker.set_nodelay(true);
        admit(&mut client, &mut broker, admits).await?;
        anyhow::Ok((client, broker))
    });
    let (mut client, mut broker) = admitted.await.context("it said nothing for too long")??;
    // How a connection ends later is between the two.
    let _ = copy_bidirectional(&mut client, &mut broker).await;
    Ok(())
}

/// Returns once the client has shown a token that opens the door; until then the broker is asked for its versions alone.
async fn admit<C, B>(client: &mut C, broker: &mut B, admits: &Admits) -> anyhow::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut agreed = false;
    for _ in 0..MOST {
        let request = frame(client).await?;
        let (header, asked) = sasl::read(request.clone())?;
        match asked {
            Asked::Versions => {
                send(broker, &request).await?;
                let answer = frame(broker).await.context("the broker broke off")?;
                send(client, &answer).await?;
            }
            // What follows an agreement of version 0 is no request of Kafka's any more.
            Asked::Mechanism(_) if header.version == 0 => {
                send(client, &header.mechanisms(sasl::UNSUPPORTED_VERSION)).await?;
                bail!("it asks for SASL without Kafka's frames (SaslHandshake, version 0)");
            }
            Asked::Mechanism(mechanism) if mechanism != MECHANISM => {
                send(client, &header.mechanisms(sasl::UNSUPPORTED_MECHANISM)).await?;
                bail!("it asks for another mechanism than {MECHANISM}");
            }
            Asked::Mechanism(_) => {
                send(client, &header.mechanisms(sasl::NONE)).await?;
                agreed = true;
            }
            Asked::Authentication(_) if !agreed => {
                send(client, &header.authenticated(Err("SaslHandshake comes first"))).await?;
                bail!("it shows a token before a mechanism was agreed on");
            }
            Asked::Authentication(message) => {
                let decided = sasl::token(&message).and_then(|token| admits(&token));
                let told = decided.as_ref().map_err(|why| format!("Access denied: {why}"));
                send(client, &header.authenticated(told.copied())).await?;
                return decided.map_err(anyhow::Error::msg);
            }
            Asked::Else(kind) => bail!("it sends the request {kind} before it has authenticated"),
        }
    }
    bail!("it does not come to the point")
}

async fn frame<S: AsyncRead + Unpin>(stream: &mut S) -> anyhow::Result<Bytes> {
    let length = stream.read_u32().await.context("it broke off")?;
    ensure!((8..=LARGEST).contains(&length), "what it says is not Kafka's");
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await.context("it broke off")?;
    Ok(bytes.into())
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> anyhow::Result<()> {
    stream.write_u32(bytes.len() as u32).await?;
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}
