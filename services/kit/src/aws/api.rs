//! Signed requests to an AWS API.

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{Credentials, Scope, Source};

/// Maximum size of a response, in bytes; a secret has at most 64 KiB.
const MAX_BYTES: usize = 256 * 1024;

/// An API in a region, and the identity that uses it.
pub(crate) struct Api {
    service: &'static str,
    region: String,
    endpoint: Uri,
    source: Source,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Reason for which there is no response.
#[derive(Debug)]
pub(crate) enum ApiError {
    Credentials(anyhow::Error),
    Unreachable(anyhow::Error),
}

impl Api {
    /// Selects the API at `url`; `None` if that is not a URL.
    ///
    /// # Errors
    /// If the system has no certificate authorities.
    pub(crate) fn new(service: &'static str, region: &str, url: &str, source: Source) -> anyhow::Result<Option<Self>> {
        let endpoint = url.parse::<Uri>().ok();
        let Some(endpoint) = endpoint.filter(|uri| uri.scheme().is_some() && uri.host().is_some()) else {
            return Ok(None);
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let connector = connector.context("cannot read the certificate authorities of the system")?;
        // http:// only where a configured URL has it.
        let connector = connector.https_or_http().enable_http1().build();
        Ok(Some(Self {
            service,
            region: region.to_owned(),
            endpoint,
            source,
            client: Client::builder(TokioExecutor::new()).build(connector),
        }))
    }

    /// Returns the URL, for messages.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    /// Sends a POST and returns the response, whatever its status; names of headers are in lower case.
    ///
    /// # Errors
    /// If there are no credentials, or no response.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Response<Bytes>, ApiError> {
        let credentials = self.source.fetch().await.map_err(ApiError::Credentials)?;
        let unreachable = |error: anyhow::Error| ApiError::Unreachable(error);
        let request = self.signed(&credentials, path, headers, body);
        let request = request.map_err(|error| unreachable(error.into()))?;
        let response = self.client.request(request).await;
        let (head, body) = response.map_err(|error| unreachable(error.into()))?.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await;
        let body = body.map_err(|error| unreachable(anyhow::anyhow!(error)))?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    fn signed(
        &self,
        credentials: &Credentials,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> http::Result<Request<Full<Bytes>>> {
        let authority = self.endpoint.authority().map_or("", |authority| authority.as_str());
        let scope = Scope::new(&self.region, self.service, OffsetDateTime::now_utc());
        let session = credentials.session.as_ref().map(ExposeSecret::expose_secret);
        let mut headers = headers.to_vec();
        headers.extend([("host", authority), ("x-amz-date", scope.timestamp())]);
        headers.extend(session.map(|token| ("x-amz-security-token", token)));
        headers.sort_unstable();
        let authorization = scope.authorization(credentials, path, &headers, &body);
        let uri = Uri::builder()
            .scheme(self.endpoint.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query(path)
            .build()?;
        let request = Request::post(uri).header(http::header::AUTHORIZATION, authorization);
        let request = headers
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value));
        request.body(Full::from(body))
    }
}
