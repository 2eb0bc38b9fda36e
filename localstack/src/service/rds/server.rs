//! The PostgreSQL server of an instance, with the settings of its parameter group.

use super::model::{INSTANCES, PARAMETER_GROUPS};
use crate::records::Record;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::postgres::{Cluster, Installation, Parameters};
use crate::{AwsError, Context};

pub fn cluster(cx: &Context, instance: &Record) -> Result<Cluster, AwsError> {
    let computed = |name: &str| instance.computed(name).unwrap_or_default();
    let invalid = || AwsError::internal(format!("the record of the instance {} is invalid", instance.id));
    let group = instance.text("DBParameterGroupName").map(|name| name.to_lowercase());
    let group = group.map_or(Ok(None), |name| PARAMETER_GROUPS.get(cx, &name))?;
    let parameters = group.as_ref().map(parameters).unwrap_or_default();
    Ok(Cluster {
        folder: cx.state_dir().join("rds").join(&instance.id),
        address: computed("address").parse().map_err(|_| invalid())?,
        port: computed("port").parse().map_err(|_| invalid())?,
        authority: CertificateAuthority::for_databases(cx.root_dir()),
        forces_tls: parameters.forces_tls(&major_version(instance)),
        parameters,
    })
}

/// Reads the parameters of a parameter group's record.
pub fn parameters(group: &Record) -> Parameters {
    Parameters::from_property(group.properties.get("Parameters"))
}

/// Applies a group's new parameters to the servers of the instances that use the group.
pub fn reload(cx: &Context, group: &Record) -> Result<(), AwsError> {
    for instance in INSTANCES.list(cx)? {
        if !instance.has("DBParameterGroupName", &group.id) {
            continue;
        }
        let mut cluster = cluster(cx, &instance)?;
        cluster.parameters = parameters(group);
        cluster.forces_tls = cluster.parameters.forces_tls(&major_version(&instance));
        cluster.reload()?;
    }
    Ok(())
}

/// Returns the major version that the template asks for, by default the installed one.
fn major_version(instance: &Record) -> String {
    let version = instance.text("EngineVersion");
    let version = version.or_else(|| Installation::find().ok().map(|install| install.version));
    version
        .unwrap_or_default()
        .split('.')
        .next()
        .unwrap_or_default()
        .to_owned()
}
