//! Who may connect to a cluster, on which port, and what is asked at the door.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use time::OffsetDateTime;

use super::lifecycle;
use super::token;
use crate::records::{Record, scalar, texts};
use crate::runtime::broker::sasl_proxy::{self, SaslProxy};
use crate::runtime::broker::{Listeners, ProxiedListener, Server};
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::service::sts::session::Session;
use crate::service::{ecs, iam};
use crate::{AwsError, Context};

/// The ports of MSK (Amazon MSK Developer Guide, "Port information").
const PLAINTEXT: u16 = 9092;
const IAM: u16 = 9098;
/// Ports that no client is told of: the broker's own where plaintext is off, and its listener behind the door.
const HIDDEN: u16 = 9095;
const INTERNAL: u16 = 9097;

const CONNECT: &str = "kafka-cluster:Connect";

/// The proxies that are open, by the cluster's ARN.
#[derive(Default)]
struct SaslProxies(Mutex<HashMap<String, Open>>);

struct Open {
    proxied: ProxiedListener,
    _proxy: SaslProxy,
}

/// Where the broker of a cluster listens. Without IAM it takes anybody, whatever the template says of encryption.
pub fn listeners(record: &Record) -> Listeners {
    let iam = is_on(record, "/Sasl/Iam/Enabled");
    let open = !iam || (is_on(record, "/Unauthenticated/Enabled") && in_transit(record) != "TLS");
    Listeners {
        plaintext: if open { PLAINTEXT } else { HIDDEN },
        plaintext_advertised: open,
        proxied: iam.then_some(ProxiedListener {
            internal: INTERNAL,
            advertised: IAM,
        }),
    }
}

/// Refuses what MSK refuses.
pub fn check(record: &Record) -> Result<(), AwsError> {
    if is_on(record, "/Sasl/Iam/Enabled") && in_transit(record) == "PLAINTEXT" {
        let words = "IAM access control needs encryption in transit: ClientBroker must be TLS or TLS_PLAINTEXT.";
        return Err(AwsError::new("BadRequestException", words));
    }
    Ok(())
}

fn is_on(record: &Record, member: &str) -> bool {
    let given = record.properties.get("ClientAuthentication");
    let found = given.and_then(|given| given.pointer(member)).and_then(scalar);
    found.as_deref() == Some("true")
}

fn in_transit(record: &Record) -> String {
    let given = record.properties.get("EncryptionInfo");
    let found = given.and_then(|given| given.pointer("/EncryptionInTransit/ClientBroker"));
    found.and_then(Value::as_str).unwrap_or("TLS").to_owned()
}

/// Opens the door of a cluster whose broker has one, and closes that of any other.
///
/// # Errors
/// When the door's port is taken.
pub fn ensure_sasl_proxy(cx: &Context, arn: &str, server: &Server) -> Result<(), AwsError> {
    let proxies = cx.extension::<SaslProxies>();
    let mut proxies = proxies.0.lock().expect("no panic holds this lock");
    let Some(proxied) = server.proxied_listener() else {
        proxies.remove(arn);
        return Ok(());
    };
    if proxies.get(arn).is_some_and(|open| open.proxied == proxied) {
        return Ok(());
    }
    proxies.remove(arn);
    let at = |port: u16| SocketAddr::from((server.settings.address, port));
    let (asking, cluster) = (cx.clone(), arn.to_owned());
    let proxy = sasl_proxy::start(
        at(proxied.advertised),
        at(proxied.internal),
        &CertificateAuthority::for_public_names(cx.state_dir()),
        Arc::new(move |token| admit(&asking, &cluster, token).map_err(Into::into)),
        cx.shutdown().child_token(),
    )?;
    proxies.insert(arn.to_owned(), Open { proxied, _proxy: proxy });
    Ok(())
}

pub fn stop_sasl_proxy(cx: &Context, arn: &str) {
    let proxies = cx.extension::<SaslProxies>();
    proxies.0.lock().expect("no panic holds this lock").remove(arn);
}

/// The token is right, its role may connect, and security groups let its task come here. What the role may do with
/// topics and groups is not asked.
fn admit(cx: &Context, cluster: &str, token: &str) -> Result<(), String> {
    let now = OffsetDateTime::now_utc();
    let session = token::verify(token, cx.region(), now, |given| Session::of(cx, given))?;
    iam::access::allows(cx, &session.role, CONNECT, cluster)?;
    let record = lifecycle::find(cx, cluster).map_err(|error| error.message)?;
    let groups = record.properties.get("BrokerNodeGroupInfo");
    let groups = texts(groups.and_then(|info| info.get("SecurityGroups")));
    ecs::security_groups_allow_task(cx, &session.name, &groups, IAM).map_err(|denied| denied.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ports(authentication: Value, transit: &str) -> (bool, u16, bool) {
        let record = Record::from_properties(
            "c",
            json!({"ClientAuthentication": authentication,
                   "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": transit}}}),
        );
        let found = listeners(&record);
        (found.plaintext_advertised, found.plaintext, found.proxied.is_some())
    }

    #[test]
    fn a_cluster_listens_where_its_template_says() {
        let both = json!({"Sasl": {"Iam": {"Enabled": "true"}}, "Unauthenticated": {"Enabled": true}});
        assert_eq!(ports(both.clone(), "TLS_PLAINTEXT"), (true, 9092, true));
        assert_eq!(ports(both, "TLS"), (false, 9095, true));
        let iam = json!({"Sasl": {"Iam": {"Enabled": true}}});
        assert_eq!(ports(iam.clone(), "TLS_PLAINTEXT"), (false, 9095, true));
        assert_eq!(ports(Value::Null, "TLS"), (true, 9092, false));
        let bare = json!({"ClientAuthentication": iam, "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "PLAINTEXT"}}});
        assert!(check(&Record::from_properties("c", bare)).is_err());
    }
}
