//! The availability zones of the subnets, as parameters.
//!
//! `Fn::GetAZs` is not used: it returns the zones that have a default subnet, in an order that "isn't guaranteed and can change when
//! new zones are added" (CloudFormation User Guide, `Fn::GetAZs`), and another zone replaces a subnet.

use serde_json::Value;

use super::super::inputs::Inputs;
use super::super::links;
use super::super::plan::{Parameter, Source, ZoneNeeds};
use crate::manifest::{Manifest, NewNetwork};
use cfn::template::Template;

/// Adds a parameter for each zone, and returns references to them.
pub fn parameters(
    template: &mut Template,
    manifest: &Manifest,
    network: &NewNetwork,
    inputs: &mut Inputs,
) -> Vec<Value> {
    let needs = needs(manifest);
    let zones = (0..usize::from(network.availability_zones)).map(|index| {
        let name = format!("AvailabilityZone{}", index + 1);
        let source = Source::AvailabilityZone {
            index,
            needs: needs.clone(),
        };
        let parameter = template.parameter(&name, "AWS::EC2::AvailabilityZone::Name", "A zone of the subnets");
        inputs.add(Parameter { name, source });
        parameter.reference()
    });
    zones.collect()
}

/// Returns the services that the zones of databases and brokers must offer.
pub fn needs(manifest: &Manifest) -> ZoneNeeds {
    let databases = manifest.databases.iter();
    let mut database_classes: Vec<String> = databases.map(|database| database.instance_class.clone()).collect();
    database_classes.sort_unstable();
    database_classes.dedup();
    ZoneNeeds {
        kafka: links::has_cluster(manifest),
        database_classes,
    }
}
