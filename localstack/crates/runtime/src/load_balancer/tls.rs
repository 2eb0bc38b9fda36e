//! TLS at a listener: the certificate, the versions, and which HTTP is spoken inside.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use endpoint_core::{AwsError, Context};

/// How a listener speaks TLS. Ciphers are rustls' own, all with forward secrecy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub versions: Versions,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

/// The versions that a security policy allows; older ones than 1.2 are never spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    Only12,
    From12,
    Only13,
}

impl Versions {
    fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Only12 => vec![&TLS12],
            Self::From12 => vec![&TLS13, &TLS12],
            Self::Only13 => vec![&TLS13],
        }
    }
}

/// By which names this machine reaches its own load balancers.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What takes the connections, with a new certificate of the endpoint's own authority.
pub fn acceptor(cx: &Context, tls: &Tls) -> Result<TlsAcceptor, AwsError> {
    let authority = Authority::of_public_names(cx.state_dir());
    let made = configure(&authority, tls)
        .map_err(|error| AwsError::internal(format!("the load balancer cannot have a certificate: {error:#}")))?;
    tracing::info!(
        authority = %authority.path().display(),
        "an HTTPS listener has a certificate of this endpoint's own authority; clients trust it by that file"
    );
    Ok(TlsAcceptor::from(Arc::new(made)))
}

fn configure(authority: &Authority, tls: &Tls) -> anyhow::Result<ServerConfig> {
    let (certificate, key) = authority.issue(&NAMES.map(str::to_owned))?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&tls.versions.supported())
        .context("TLS is not available")?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .context("the certificate does not fit")?;
    config.alpn_protocols = match tls.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}
