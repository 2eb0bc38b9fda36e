//! A proxy in front of a broker that adds TLS and SASL/OAUTHBEARER, as MSK's IAM listener on port 9098 has it.
//!
//! Neither Kafka nor nisshi implements MSK's IAM authentication, so the endpoint does. The broker advertises the proxy's
//! address on its listener behind the proxy, so that clients connect to the proxy each time. Clients are authenticated at the
//! start of a connection, which may then outlive its token.

mod sasl;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::certificate_authority::CertificateAuthority;
use sasl::{MECHANISM, SaslRequest};

const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a request before authentication, in bytes.
const MAX_REQUEST: u32 = 64 * 1024;
/// Maximum number of requests before authentication; every mechanism needs three.
const MAX_REQUESTS: usize = 16;

/// Decides if a token may connect. The client receives the error's message, which must not contain a secret.
pub type Authorizer = Arc<dyn Fn(&str) -> Result<(), Rejection> + Send + Sync>;

/// The reason why a token is rejected.
pub type Rejection = Box<dyn Error + Send + Sync>;

/// A running proxy; dropping it closes its port and its connections.
pub struct SaslProxy {
    _stop: DropGuard,
}

/// Starts a proxy from `address` to the broker's listener `internal`, with a certificate for that address.
///
/// # Errors
/// When the address is in use, or no certificate can be issued.
pub fn start(
    address: SocketAddr,
    internal: SocketAddr,
    authority: &CertificateAuthority,
    authorizer: Authorizer,
    stop: CancellationToken,
) -> anyhow::Result<SaslProxy> {
    let acceptor = acceptor(authority, address)?;
    let socket = std::net::TcpListener::bind(address)
        .with_context(|| format!("the IAM listener of the cluster cannot listen on {address}"))?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            let client = tokio::select! {
                () = stopped.cancelled() => return,
                accepted = socket.accept() => if let Ok((client, _)) = accepted { client } else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                },
            };
            let (acceptor, authorizer, stopped) = (acceptor.clone(), authorizer.clone(), stopped.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    done = serve(client, internal, &acceptor, &authorizer) => if let Err(error) = done {
                        tracing::info!(listener = %address, "rejected a Kafka client: {error:#}");
                    },
                }
            });
        }
    });
    Ok(SaslProxy {
        _stop: stop.drop_guard(),
    })
}

fn acceptor(authority: &CertificateAuthority, address: SocketAddr) -> anyhow::Result<TlsAcceptor> {
    let (certificate, key) = authority.issue(&[address.ip().to_string()])?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS is not available")?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .context("the certificate is invalid")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(
    client: TcpStream,
    internal: SocketAddr,
    acceptor: &TlsAcceptor,
    authorizer: &Authorizer,
) -> anyhow::Result<()> {
    let _ = client.set_nodelay(true);
    let authenticated = timeout(AUTHENTICATION_TIMEOUT, async {
        let mut client = acceptor.accept(client).await.context("the TLS handshake failed")?;
        let mut broker = TcpStream::connect(internal)
            .await
            .context("the broker does not respond")?;
        let _ = broker.set_nodelay(true);
        authenticate(&mut client, &mut broker, authorizer).await?;
        anyhow::Ok((client, broker))
    });
    let (mut client, mut broker) = authenticated.await.context("authentication timed out")??;
    // The two ends decide when and how the connection closes.
    let _ = copy_bidirectional(&mut client, &mut broker).await;
    Ok(())
}

/// Returns once the client has sent an accepted token; until then only `ApiVersions` requests reach the broker.
async fn authenticate<C, B>(client: &mut C, broker: &mut B, authorizer: &Authorizer) -> anyhow::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut mechanism_agreed = false;
    for _ in 0..MAX_REQUESTS {
        let frame = read_frame(client).await?;
        let (header, request) = sasl::decode(frame.clone())?;
        match request {
            SaslRequest::ApiVersions => {
                write_frame(broker, &frame).await?;
                let response = read_frame(broker).await.context("the broker closed the connection")?;
                write_frame(client, &response).await?;
            }
            // After a handshake of version 0 clients send SASL tokens without Kafka's request format.
            SaslRequest::Handshake(_) if header.version == 0 => {
                write_frame(client, &header.handshake_response(sasl::UNSUPPORTED_VERSION)?).await?;
                bail!("SaslHandshake version 0 is not supported");
            }
            SaslRequest::Handshake(mechanism) if mechanism != MECHANISM => {
                write_frame(client, &header.handshake_response(sasl::UNSUPPORTED_MECHANISM)?).await?;
                bail!("the SASL mechanism {mechanism} is not supported: use {MECHANISM}");
            }
            SaslRequest::Handshake(_) => {
                write_frame(client, &header.handshake_response(sasl::NO_ERROR)?).await?;
                mechanism_agreed = true;
            }
            SaslRequest::Authenticate(_) if !mechanism_agreed => {
                let message = "SaslAuthenticate before SaslHandshake";
                write_frame(client, &header.authenticate_response(Some(message))?).await?;
                bail!(message);
            }
            SaslRequest::Authenticate(message) => {
                let decision = match sasl::token(&message) {
                    Ok(token) => authorizer(&token),
                    Err(error) => Err(error.into()),
                };
                let denial = decision.as_ref().err().map(|reason| format!("Access denied: {reason}"));
                write_frame(client, &header.authenticate_response(denial.as_deref())?).await?;
                return decision.map_err(|reason| anyhow!(reason));
            }
            SaslRequest::Other(api_key) => bail!("request {api_key} before authentication"),
        }
    }
    bail!("too many requests before authentication")
}

/// Reads one frame, and returns it without its length.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> anyhow::Result<Bytes> {
    let length = stream.read_u32().await.context("the connection was closed")?;
    ensure!(
        (8..=MAX_REQUEST).contains(&length),
        "invalid length of a request: {length}"
    );
    let mut bytes = vec![0; length as usize];
    stream
        .read_exact(&mut bytes)
        .await
        .context("the connection was closed")?;
    Ok(bytes.into())
}

async fn write_frame<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> anyhow::Result<()> {
    stream.write_u32(u32::try_from(bytes.len())?).await?;
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}
