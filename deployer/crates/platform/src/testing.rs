//! The fixture manifest of the tests.

use std::path::Path;

use serde_json::{Map, Value};

use crate::manifest::{ExistingNetwork, Manifest, Network, NewNetwork, Subnets};
use crate::stacks::{Plan, plan};

/// Returns the fixture manifest and its plan.
pub fn plan_of(environment: &str) -> (Manifest, Plan) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shop.toml");
    let manifest = Manifest::load(&path, environment).expect("the fixture manifest");
    let plan = plan(&manifest);
    (manifest, plan)
}

/// Returns the resources of a stack's template.
pub fn resources<'a>(plan: &'a mut Plan, short_name: &str) -> &'a mut Map<String, Value> {
    let stack = plan.stacks.iter_mut().find(|stack| stack.short_name == short_name);
    stack.expect("the stack").template["Resources"]
        .as_object_mut()
        .expect("resources")
}

/// Returns the VPC that the manifest creates.
pub fn new_network(manifest: &mut Manifest) -> &mut NewNetwork {
    match &mut manifest.network {
        Network::New(network) => network,
        Network::Existing(_) => panic!("the VPC exists"),
    }
}

/// Puts the platform into an existing VPC.
pub fn move_to_existing_network(manifest: &mut Manifest) {
    let ids = |tier: char| {
        let ids = (1..=2).map(|n| format!("subnet-{tier}000000{n}"));
        Subnets::Ids(ids.collect())
    };
    manifest.network = Network::Existing(ExistingNetwork {
        vpc: "vpc-0123456789abcdef0".to_owned(),
        availability_zones: 2,
        public: ids('a'),
        private: ids('b'),
        isolated: ids('b'),
    });
}
