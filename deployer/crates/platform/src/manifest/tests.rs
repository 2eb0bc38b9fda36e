use ipnet::Ipv4Net;

use super::source::SourceText;
use super::*;

const SMALL: &str = r#"
[project]
name = "shop"

[ingress]
service = "web"

[databases.orders]

[topics.placed]

[services.web]
ports = { http = 8000 }
calls = [{ service = "orders" }]

[services.orders]
ports = { http = 8001, grpc = 9001 }
database = "orders"
publishes = ["placed"]

[environments.dev]

[environments.prod.services.web]
count = 3
"#;

fn read(text: &str, environment: &str) -> Result<Manifest, ManifestError> {
    Manifest::from_source(
        &SourceText {
            path: "deployer.toml".into(),
            text: text.to_owned(),
        },
        environment,
    )
}

#[test]
fn an_environment_overrides_the_common_tables() {
    assert_eq!(read(SMALL, "dev").unwrap().service("web").unwrap().count, 1);
    let prod = read(SMALL, "prod").unwrap();
    assert_eq!(prod.service("web").unwrap().count, 3);
    assert_eq!(prod.service("web").unwrap().calls[0].port.number, 8001);
}

#[test]
fn a_service_runs_an_existing_image() {
    let image = "[services.orders]\nimage = \"registry.example.org/orders:1.4\"";
    let manifest = read(&SMALL.replace("[services.orders]", image), "dev").expect("an image");
    assert_eq!(
        manifest.service("orders").and_then(|service| service.image.as_deref()),
        Some("registry.example.org/orders:1.4")
    );
}

#[test]
fn variables_in_lower_case_are_accepted_and_derived_ones_are_overridden() {
    let with = "[services.orders]\nenvironment = { http_proxy = \"p\", DATABASE_NAME = \"other\" }";
    let manifest = read(&SMALL.replace("[services.orders]", with), "dev").expect("a valid manifest");
    let orders = manifest.service("orders").expect("the service");
    assert_eq!(
        orders.environment.keys().collect::<Vec<_>>(),
        ["DATABASE_NAME", "http_proxy"]
    );
}

#[test]
fn alarms_are_enabled_for_all_services_or_for_one() {
    let enabled = |text: &str| {
        let manifest = read(&format!("{SMALL}{text}"), "dev").unwrap();
        let services: Vec<bool> = manifest.services.iter().map(|service| service.alarms).collect();
        (manifest.alarms.is_some(), services)
    };
    assert_eq!(enabled(""), (false, vec![false, false]));
    assert_eq!(enabled("\n[alarms]\nenabled = true\n"), (true, vec![true, true]));
    assert_eq!(
        enabled("\n[environments.dev.services.web]\nalarms = true\n"),
        (true, vec![false, true])
    );
}

#[test]
fn egress_is_read_with_its_reason() {
    let egress = "egress = [{ cidr = \"203.0.113.0/24\", port = 587, reason = \"mail\" }]";
    let text = SMALL.replace("database = \"orders\"", &format!("database = \"orders\"\n{egress}"));
    let manifest = read(&text, "dev").unwrap();
    let orders = &manifest.service("orders").unwrap().egress;
    let network: Ipv4Net = "203.0.113.0/24".parse().unwrap();
    assert_eq!((orders[0].network, orders[0].port), (network, 587));
    assert_eq!(manifest.service("web").unwrap().egress, []);
}

#[test]
fn the_subnets_are_networks_of_24_bits_one_after_the_other() {
    let Network::New(network) = read(SMALL, "dev").unwrap().network else {
        panic!("not a new network");
    };
    assert_eq!(
        [0, 8].map(|n| network.subnet(n).to_string()),
        ["10.0.0.0/24", "10.0.8.0/24"]
    );
}

const EXISTING: &str = r#"
[environments.prod.network]
vpc = "vpc-0123456789abcdef0"
public_subnets = ["subnet-00000002", "subnet-00000001"]
private_subnets = { tag = "tier", value = "private" }
"#;

#[test]
fn subnets_of_an_existing_network_are_listed_or_have_a_tag_and_isolated_ones_are_private_ones_by_default() {
    let network = read(&format!("{SMALL}{EXISTING}"), "prod").expect("a manifest").network;
    let private = Subnets::Tag(Tag {
        key: "tier".into(),
        value: "private".into(),
    });
    let expected = ExistingNetwork {
        vpc: "vpc-0123456789abcdef0".into(),
        availability_zones: 2,
        public: Subnets::Ids(["subnet-00000001", "subnet-00000002"].map(str::to_owned).into()),
        isolated: private.clone(),
        private,
    };
    assert_eq!(network.existing(), Some(&expected));
    assert_eq!(network.isolated_subnets(), 2);
    assert!(!network.has_own_endpoints());
}

#[test]
fn an_environment_with_an_existing_network_inherits_no_setting_of_a_new_one_and_the_other_way_round() {
    let common = "[network]\ncidr = \"10.20.0.0/16\"\nnat = \"none\"\navailability_zones = 3\nflow_logs = true\n";
    let text = format!("{common}{SMALL}{EXISTING}");
    assert!(read(&text, "prod").expect("a manifest").network.existing().is_some());
    assert_eq!(read(&text, "dev").expect("a manifest").network.isolated_subnets(), 3);

    let common = EXISTING.replace("environments.prod.", "");
    let text = format!("{SMALL}{common}[environments.dev.network]\ncidr = \"10.21.0.0/16\"\n");
    assert!(read(&text, "prod").expect("a manifest").network.existing().is_some());
    let own = read(&text, "dev").expect("a manifest").network.cidr();
    assert_eq!(own.map(|own| own.to_string()).as_deref(), Some("10.21.0.0/16"));
}
