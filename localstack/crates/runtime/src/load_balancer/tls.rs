//! TLS of a listener: the certificate, the versions, and the HTTP versions inside.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::certificate_authority::CertificateAuthority;
use endpoint_core::{AwsError, Context};

/// TLS settings of a listener. The ciphers are rustls' defaults, all with forward secrecy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Those of the listener's security policy.
    pub versions: Versions,
    /// True if HTTP/2 is offered besides HTTP/1.1.
    pub http2: bool,
}

/// The TLS versions of a security policy; versions before 1.2 are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.2.
    Only12,
    /// TLS 1.2 and 1.3.
    From12,
    /// TLS 1.3.
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

/// The names by which this machine reaches its load balancers.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Creates an acceptor with a new certificate of the endpoint's CA.
///
/// # Errors
/// When no certificate can be issued.
pub fn acceptor(cx: &Context, tls: &Tls) -> Result<TlsAcceptor, AwsError> {
    let authority = CertificateAuthority::for_public_names(cx.root_dir());
    let config = configure(&authority, tls)
        .map_err(|error| AwsError::internal(format!("cannot issue a certificate for the load balancer: {error:#}")))?;
    tracing::info!(
        ca_file = %authority.path().display(),
        "issued the certificate of an HTTPS listener; clients need this CA file to trust it"
    );
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(super) fn configure(authority: &CertificateAuthority, tls: &Tls) -> anyhow::Result<ServerConfig> {
    let (certificate, key) = authority.issue(&NAMES.map(str::to_owned))?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&tls.versions.supported())
        .context("TLS is not available")?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .context("the certificate is invalid")?;
    config.alpn_protocols = if tls.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(config)
}
