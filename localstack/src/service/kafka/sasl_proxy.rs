//! The SASL proxies of clusters with IAM authentication, and the decision about which clients may connect.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use time::OffsetDateTime;

use super::broker::IAM_PORT;
use super::{model, token};
use crate::records::texts;
use crate::runtime::broker::sasl_proxy::{self, SaslProxy};
use crate::runtime::broker::{ProxiedListener, Server};
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::service::sts::session::Session;
use crate::service::{ecs, iam};
use crate::{AwsError, Context};

const CONNECT: &str = "kafka-cluster:Connect";

/// The running proxies by the ARN of their cluster.
#[derive(Default)]
struct SaslProxies(Mutex<HashMap<String, RunningProxy>>);

struct RunningProxy {
    listener: ProxiedListener,
    _proxy: SaslProxy,
}

/// Starts the proxy of a cluster whose broker has a proxied listener, and stops that of any other.
///
/// # Errors
/// Returns an error if the proxy's port is taken.
pub fn ensure_sasl_proxy(cx: &Context, arn: &str, server: &Server) -> Result<(), AwsError> {
    let proxies = cx.extension::<SaslProxies>();
    let mut proxies = proxies.0.lock();
    let Some(listener) = server.proxied_listener() else {
        proxies.remove(arn);
        return Ok(());
    };
    if proxies.get(arn).is_some_and(|running| running.listener == listener) {
        return Ok(());
    }
    proxies.remove(arn);
    let at = |port: u16| SocketAddr::from((server.settings.address, port));
    let (context, cluster) = (cx.clone(), arn.to_owned());
    let proxy = sasl_proxy::start(
        at(listener.advertised),
        at(listener.internal),
        &CertificateAuthority::for_public_names(cx.root_dir()),
        Arc::new(move |token| authorize(&context, &cluster, token).map_err(Into::into)),
        cx.shutdown().child_token(),
    )?;
    let running = RunningProxy {
        listener,
        _proxy: proxy,
    };
    proxies.insert(arn.to_owned(), running);
    Ok(())
}

pub fn stop_sasl_proxy(cx: &Context, arn: &str) {
    cx.extension::<SaslProxies>().0.lock().remove(arn);
}

/// Checks that the token is valid, that its role may connect, and that security groups let its task reach the broker.
/// Permissions for topics and groups are not checked.
fn authorize(cx: &Context, cluster: &str, token: &str) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    let session = token::verify(token, cx.region(), now, |given| Session::of(cx, given))?;
    iam::access::check(cx, &session.role, CONNECT, cluster)?;
    let record = model::cluster(cx, cluster)?;
    let groups = record.properties.get("BrokerNodeGroupInfo");
    let groups = texts(groups.and_then(|info| info.get("SecurityGroups")));
    Ok(ecs::security_groups_allow_task(cx, &session.name, &groups, IAM_PORT)?)
}
