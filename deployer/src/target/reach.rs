//! Whether anything answers, before a command begins: the SDK would try again and again.

use std::io::ErrorKind;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use tokio::net::TcpStream;

use super::http;
use crate::error::{Error, Result};

/// How long a connection may take.
pub const CONNECT: Duration = Duration::from_secs(1);
/// How long the first answer may take.
pub const ANSWER: Duration = Duration::from_millis(1500);

/// An error unless CloudFormation's endpoint takes a connection and, where its URL was given by hand, answers at all.
///
/// With a proxy for HTTPS nothing is asked: names may not resolve here, and that is the proxy's business.
pub async fn require(config: &SdkConfig) -> Result<()> {
    let given = config.endpoint_url().map(str::to_owned);
    let proxied = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let url = match &given {
        Some(url) => url.clone(),
        None if proxied => return Ok(()),
        None => regional(config).await?,
    };
    let unreachable = |reason| Error::Unreachable {
        url: url.clone(),
        reason,
    };
    connect(&url).await?.map_err(unreachable)?;
    if given.is_some() {
        // Whatever the status: somebody speaks HTTP.
        http::get(&url, ANSWER).await.map_err(|reason| Error::Unreachable {
            url: url.clone(),
            reason: format!("it does not answer over HTTP ({reason})"),
        })?;
    }
    Ok(())
}

/// A connection to the URL's host and port, or why there is none, in words.
pub async fn connect(url: &str) -> Result<std::result::Result<(), String>> {
    let parsed = url::Url::parse(url)
        .ok()
        .filter(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host());
    let Some(parsed) = parsed else {
        let text = format!("--endpoint-url {url} is no URL of an endpoint, such as http://127.0.0.1:4566");
        return Err(Error::Usage(text));
    };
    let address = format!(
        "{}:{}",
        parsed.host_str().unwrap_or("localhost"),
        parsed.port_or_known_default().unwrap_or(80)
    );
    Ok(
        match tokio::time::timeout(CONNECT, TcpStream::connect(&address)).await {
            Err(_) => Err(format!("{address} does not answer")),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                Err(format!("nothing listens on {address}"))
            }
            Ok(Err(error)) => Err(format!("{address}: {error}")),
            Ok(Ok(_)) => Ok(()),
        },
    )
}

/// The URL of CloudFormation in the configured region.
pub(super) async fn regional(config: &SdkConfig) -> Result<String> {
    let region = config.region().map(|region| region.as_ref().to_owned());
    let params = Params::builder().set_region(region).build();
    let params = params.map_err(anyhow::Error::from)?;
    let found = DefaultResolver::new().resolve_endpoint(&params).await;
    let found = found.map_err(|error| Error::Usage(format!("the region has no CloudFormation endpoint: {error}")))?;
    Ok(found.url().to_owned())
}
