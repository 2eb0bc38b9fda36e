//! An existing VPC: its ID and those of its subnets are parameters, so that the template is the same in every account, and nothing of
//! the VPC belongs to a stack.

use cfn::template::Template;
use serde_json::json;

use super::super::inputs::Inputs;
use super::super::plan::{Parameter, Source};
use super::{security_groups, zones};
use crate::manifest::{ExistingNetwork, Manifest, SubnetTier};

/// The parameter with the ID of the VPC.
pub const VPC: &str = "VpcId";

/// Adds the security groups, with the same outputs as those of a new VPC.
pub fn add(template: &mut Template, manifest: &Manifest, network: &ExistingNetwork, inputs: &mut Inputs) {
    let vpc = template.parameter(VPC, "AWS::EC2::VPC::Id", "The existing VPC");
    inputs.add(Parameter {
        name: VPC.into(),
        source: Source::Literal(network.vpc.clone()),
    });
    template.output(VPC, "The VPC", vpc.reference());
    security_groups(template, manifest, &vpc.reference());
    for tier in SubnetTier::ALL {
        let name = tier.parameter();
        let users = match tier {
            SubnetTier::Public => "Existing subnets of the load balancer",
            SubnetTier::Private => "Existing subnets of the tasks",
            SubnetTier::Isolated => "Existing subnets of the databases and brokers",
        };
        let subnets = template.parameter(name, "List<AWS::EC2::Subnet::Id>", users);
        inputs.add(Parameter {
            name: name.into(),
            source: Source::Subnets {
                tier,
                network: network.clone(),
                needs: zones::needs(manifest),
            },
        });
        let joined = json!({ "Fn::Join": [",", subnets.reference()] });
        template.output(name, "Joined by commas", joined);
    }
}
