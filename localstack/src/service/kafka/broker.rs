//! The broker of a cluster and the ports on which it listens.

use serde_json::Value;

use crate::records::{Record, scalar};
use crate::runtime::broker::{Listeners, ProxiedListener, Server, Settings};
use crate::{AwsError, Context};

// The ports of MSK (Amazon MSK Developer Guide, "Port information").
const PLAINTEXT_PORT: u16 = 9092;
pub const IAM_PORT: u16 = 9098;
/// The broker's port for the endpoint alone, where plaintext is off for clients.
const INTERNAL_PORT: u16 = 9095;
/// The broker's listener behind the SASL proxy.
const PROXIED_PORT: u16 = 9097;

pub fn server(cx: &Context, cluster: &Record) -> Result<Server, AwsError> {
    let computed = |name: &str| cluster.computed(name).unwrap_or_default();
    let address = computed("address").parse();
    let address = address.map_err(|_| AwsError::internal(format!("the record of {} is invalid", cluster.id)))?;
    let settings = Settings {
        folder: cx.state_dir().join("kafka").join(computed("uuid")),
        address,
        listeners: listeners(cluster),
        cluster_id: computed("cluster_id"),
    };
    // Only the program that wrote the data can read it.
    let broker = cluster
        .computed
        .get("broker")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Server {
        settings,
        broker: broker.or_else(|| cx.config().broker.clone()),
    })
}

/// Returns the listeners that the template asks for. Without IAM every client may connect in plaintext, whatever the
/// template says about encryption.
fn listeners(cluster: &Record) -> Listeners {
    let iam = is_enabled(cluster, "/Sasl/Iam/Enabled");
    let open = !iam || (is_enabled(cluster, "/Unauthenticated/Enabled") && in_transit(cluster) != "TLS");
    Listeners {
        plaintext: if open { PLAINTEXT_PORT } else { INTERNAL_PORT },
        plaintext_advertised: open,
        proxied: iam.then_some(ProxiedListener {
            internal: PROXIED_PORT,
            advertised: IAM_PORT,
        }),
    }
}

/// Rejects combinations of authentication and encryption that MSK rejects.
pub fn check_security(cluster: &Record) -> Result<(), AwsError> {
    if is_enabled(cluster, "/Sasl/Iam/Enabled") && in_transit(cluster) == "PLAINTEXT" {
        let message = "IAM access control needs encryption in transit: ClientBroker must be TLS or TLS_PLAINTEXT.";
        return Err(AwsError::new("BadRequestException", message));
    }
    Ok(())
}

fn is_enabled(cluster: &Record, pointer: &str) -> bool {
    let authentication = cluster.properties.get("ClientAuthentication");
    let flag = authentication.and_then(|all| all.pointer(pointer)).and_then(scalar);
    flag.as_deref() == Some("true")
}

fn in_transit(cluster: &Record) -> &str {
    let encryption = cluster.properties.get("EncryptionInfo");
    let mode = encryption.and_then(|all| all.pointer("/EncryptionInTransit/ClientBroker"));
    mode.and_then(Value::as_str).unwrap_or("TLS")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    fn ports(authentication: Value, transit: &str) -> (bool, u16, bool) {
        let cluster = Record::from_properties(
            "c",
            json!({"ClientAuthentication": authentication,
                   "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": transit}}}),
        );
        let listeners = listeners(&cluster);
        (
            listeners.plaintext_advertised,
            listeners.plaintext,
            listeners.proxied.is_some(),
        )
    }

    #[test]
    fn a_cluster_has_the_listeners_of_its_template() {
        let both = json!({"Sasl": {"Iam": {"Enabled": "true"}}, "Unauthenticated": {"Enabled": true}});
        assert_eq!(ports(both.clone(), "TLS_PLAINTEXT"), (true, 9092, true));
        assert_eq!(ports(both, "TLS"), (false, 9095, true));
        let iam = json!({"Sasl": {"Iam": {"Enabled": true}}});
        assert_eq!(ports(iam.clone(), "TLS_PLAINTEXT"), (false, 9095, true));
        assert_eq!(ports(Value::Null, "TLS"), (true, 9092, false));
        let plaintext = json!({"ClientAuthentication": iam, "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "PLAINTEXT"}}});
        let error = check_security(&Record::from_properties("c", plaintext)).unwrap_err();
        assert_eq!(error.code, "BadRequestException");
    }
}
