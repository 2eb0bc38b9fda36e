//! The manifest of the tests, and a context whose endpoint is a fake account.

use std::path::Path;
use std::sync::Arc;

use aws::testing::{FakeAccount, FakeAws};
use clap::Parser;
use platform::manifest::{ExistingNetwork, Manifest, Network, Subnets};
use platform::stacks::{self, Plan};
use ui::Ui;

use crate::cli::Cli;
use crate::context::Session;

/// The manifest of the tests.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shop/deployer.toml");

/// Returns an environment of the manifest of the tests, `dev` or `prod`.
pub fn manifest(environment: &str) -> Manifest {
    Manifest::load(Path::new(MANIFEST), environment).expect("the manifest of the tests")
}

/// Returns an existing VPC with two subnets of each tier.
pub fn existing_network() -> Network {
    let ids = |tier: &str| Subnets::Ids(["a", "b"].map(|zone| format!("subnet-{tier}-{zone}")).to_vec());
    Network::Existing(ExistingNetwork {
        vpc: "vpc-0123456789abcdef0".to_owned(),
        availability_zones: 2,
        public: ids("public"),
        private: ids("private"),
        isolated: ids("isolated"),
    })
}

/// Returns its stacks.
pub fn plan(environment: &str) -> Plan {
    stacks::plan(&manifest(environment))
}

/// Starts the endpoint of an account, which runs until it is dropped. Returns it with a context for an environment of the manifest.
pub async fn context(account: &Arc<FakeAccount>, environment: &str, ui: &Ui) -> (FakeAws, Session) {
    let endpoint = account.start().await;
    let options = [
        "deployer",
        "--endpoint-url",
        endpoint.url(),
        "--env",
        environment,
        "--manifest",
        MANIFEST,
        "status",
    ];
    let context = Session::new(Cli::parse_from(options).common, ui.clone());
    (endpoint, context)
}
