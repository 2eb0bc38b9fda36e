//! HTTP/2 over TLS from the client to the load balancer, and without it from there to targets of HTTP/2 and gRPC.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tests::{group, open, settings};
use super::{LoadBalancerAttributes, TargetGroupSettings, TargetProtocol, Tls, Versions, tls};
use crate::certificate_authority::CertificateAuthority;

type Body = BoxBody<Bytes, hyper::Error>;

/// Starts a target of HTTP/2 without TLS, which echoes a body with a gRPC status after it. Health checks have the status 12 in the head.
async fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(respond)));
        }
    });
    address
}

async fn respond(request: Request<Incoming>) -> hyper::Result<Response<Body>> {
    let status = |code| HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(code))]);
    let empty = || Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
    if request.uri().path() == "/AWS.ALB/healthcheck" {
        let mut response = Response::new(empty());
        *response.headers_mut() = status("12");
        return Ok(response);
    }
    let seen = ["te", "x-forwarded-proto", "x-amzn-tls-version"].map(|name| request.headers().get(name).cloned());
    let authority = request.uri().authority().map(ToString::to_string);
    let body = request.into_body().with_trailers(async move { Some(Ok(status("0"))) });
    let mut response = Response::new(body.boxed());
    for (name, value) in ["x-te", "x-proto", "x-tls"].into_iter().zip(seen) {
        response
            .headers_mut()
            .insert(name, value.unwrap_or(HeaderValue::from_static("none")));
    }
    let authority = authority.unwrap_or_default().parse().unwrap();
    response.headers_mut().insert("x-authority", authority);
    Ok(response)
}

/// Starts a load balancer with HTTPS and connects to it with HTTP/2.
async fn connect(settings: TargetGroupSettings) -> (SendRequest<Full<Bytes>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::for_public_names(folder.path());
    let settings_of_tls = Tls {
        versions: Versions::Only13,
        http2: true,
    };
    let acceptor = TlsAcceptor::from(Arc::new(tls::configure(&authority, &settings_of_tls).unwrap()));
    let attributes = LoadBalancerAttributes {
        tls_headers: true,
        ..LoadBalancerAttributes::default()
    };
    let group = group(settings, &[target().await]).await;
    let address = open(attributes, group, Some(acceptor)).await;

    let mut roots = RootCertStore::empty();
    let pem = authority.certificate_pem().unwrap();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    (sender, folder)
}

fn request(method: Method, content_type: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri("https://a.example/pkg.Service/Echo")
        .header("content-type", content_type)
        .header("te", "trailers")
        .body(Full::new(Bytes::from("a message")))
        .unwrap()
}

#[tokio::test]
async fn grpc_reaches_the_target_with_its_trailers_and_other_requests_are_464() {
    let settings = TargetGroupSettings {
        path: "/AWS.ALB/healthcheck".into(),
        protocol: TargetProtocol::Grpc,
        matcher: vec![(12, 12)],
        ..settings()
    };
    let (mut client, _folder) = connect(settings).await;
    for _ in 0..2 {
        let response = client
            .send_request(request(Method::POST, "application/grpc"))
            .await
            .unwrap();
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            ["x-te", "x-proto", "x-tls"].map(header),
            ["trailers", "https", "TLSv1.3"]
        );
        assert_eq!(header("x-authority"), "a.example");
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(body.to_bytes(), "a message");
    }
    let response = client
        .send_request(request(Method::GET, "application/grpc"))
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 464);
}

#[tokio::test]
async fn a_group_of_http2_gets_any_method() {
    let settings = TargetGroupSettings {
        protocol: TargetProtocol::Http2,
        ..settings()
    };
    let (mut client, _folder) = connect(settings).await;
    for method in [Method::POST, Method::PUT] {
        let response = client.send_request(request(method, "text/plain")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}
