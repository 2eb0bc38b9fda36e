use super::source::Source;
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
        &Source {
            path: "deployer.toml".into(),
            text: text.to_owned(),
        },
        environment,
    )
}

fn error_of(text: &str) -> String {
    read(text, "dev").expect_err("it must be refused").to_string()
}

/// The error with its hint.
fn whole_error_of(text: &str) -> String {
    let error = read(text, "dev").expect_err("it must be refused");
    format!("{error}\n{}", error.hint().unwrap_or_default())
}

#[test]
fn an_environment_lays_its_tables_over_the_common_ones() {
    assert_eq!(read(SMALL, "dev").unwrap().service("web").unwrap().count, 1);
    let prod = read(SMALL, "prod").unwrap();
    assert_eq!(prod.service("web").unwrap().count, 3);
    assert_eq!(prod.service("web").unwrap().calls[0].port.number, 8001);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = SMALL.replace("database = \"orders\"", "databse = \"orders\"");
    insta::assert_snapshot!(whole_error_of(&text), @r#"
    deployer.toml:18: unknown key `databse` (in `databse = "orders"`)
    did you mean `database`?
    "#);
}

#[test]
fn an_unknown_key_in_an_environment_is_an_error_too() {
    let text = SMALL.replace("count = 3", "cuont = 3");
    insta::assert_snapshot!(whole_error_of(&text), @"
    deployer.toml:24: unknown key `cuont` (in `cuont = 3`)
    did you mean `count`?
    ");
}

#[test]
fn a_value_of_another_kind_is_told_in_words() {
    let text = SMALL.replace("http = 8000", "http = \"8000\"");
    insta::assert_snapshot!(error_of(&text), @r#"deployer.toml:13: the text "8000" is given, where a whole number from 0 to 65535 is expected (in `ports = { http = "8000" }`)"#);
    insta::assert_snapshot!(whole_error_of(""), @r#"
    deployer.toml:1: the key `project` is missing
    a manifest begins with [project] and its name; the README's "Your own services" has a whole one
    "#);
}

#[test]
fn a_link_to_a_service_that_is_not_there_is_refused() {
    let text = SMALL.replace("service = \"orders\" }", "service = \"order\" }");
    insta::assert_snapshot!(error_of(&text), @"deployer.toml:14: services.web.calls: there is no service 'order'; did you mean 'orders'?");
}

#[test]
fn a_service_is_a_package_or_an_image() {
    let with = |line: &str| SMALL.replace("[services.orders]", &format!("[services.orders]\n{line}"));
    let manifest = read(&with("image = \"registry.example.org/orders:1.4\""), "dev").expect("an image");
    assert_eq!(
        manifest.service("orders").and_then(|service| service.image.as_deref()),
        Some("registry.example.org/orders:1.4")
    );
    assert!(error_of(&with("image = \"a:1\"\npackage = \"orders\"")).contains("not both"));
    assert!(error_of(&with("image = \"Not An Image\"")).contains("is no image reference"));
}

#[test]
fn a_duplicate_port_is_refused() {
    let text = SMALL.replace("grpc = 9001", "grpc = 8001");
    insta::assert_snapshot!(error_of(&text), @"deployer.toml:17: services.orders.ports.http: 8001 is already the port 'grpc' of this service");
}

#[test]
fn an_environment_that_is_not_declared_lists_those_that_are() {
    let error = read(SMALL, "test").unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.hint().unwrap()), @"
    deployer.toml declares no environment 'test'
    it declares dev, prod
    ");
    let slip = read(SMALL, "prd").unwrap_err();
    assert_eq!(slip.hint().as_deref(), Some("did you mean --env prod?"));
    let none = SMALL.split("[environments.dev]").next().unwrap_or_default();
    let hint = read(none, "dev").unwrap_err().hint().unwrap_or_default();
    assert!(hint.starts_with("a line [environments.dev] declares it"), "{hint}");
}

#[test]
fn what_aws_would_refuse_much_later_is_refused_here() {
    let orders = |line: &str| error_of(&SMALL.replace("[services.orders]", &format!("[services.orders]\n{line}")));
    let database = |line: &str| error_of(&SMALL.replace("[databases.orders]", &format!("[databases.orders]\n{line}")));
    let told = [
        orders("cpu = 1024\nmemory = 2500"),
        orders("count = 10000"),
        orders("health_path = \"health\""),
        orders("health_command = []"),
        orders("environment = { \"MY-NAME\" = \"x\" }"),
        orders("secrets = [\"TOKEN\"]\nenvironment = { TOKEN = \"x\" }"),
        orders("secrets = [\"DATABASE_HOST\"]"),
        database("instance_class = \"t4g.micro\""),
        database("engine_version = \"mysql\""),
        error_of(&SMALL.replace("grpc = 9001", "\"G RPC\" = 9001")),
        error_of(&SMALL.replace("ports = { http = 8000 }", "ports = { http = 8000 }\ncount = 0")),
        error_of(
            &SMALL
                .replace(
                    "{ service = \"orders\" }",
                    "{ service = \"orders\", port = \"grpc\" }, { service = \"orders\", port = \"admin\" }",
                )
                .replace("grpc = 9001", "grpc = 9001, admin = 9002"),
        ),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn variables_in_lower_case_are_for_libraries_and_override_what_is_derived() {
    let with = "[services.orders]\nenvironment = { http_proxy = \"p\", DATABASE_NAME = \"other\" }";
    let manifest = read(&SMALL.replace("[services.orders]", with), "dev").expect("it is right");
    let orders = manifest.service("orders").expect("the service");
    assert_eq!(
        orders.environment.keys().collect::<Vec<_>>(),
        ["DATABASE_NAME", "http_proxy"]
    );
}

#[test]
fn memory_that_fargate_does_not_give_is_refused() {
    let text = SMALL.replace("[environments.dev]", "[environments.dev.services.web]\nmemory = 100");
    insta::assert_snapshot!(error_of(&text), @"deployer.toml:22: services.web.memory: 100 MiB do not go with 256 CPU units: 512 to 2048");
}

#[test]
fn the_projects_own_manifest_is_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deployer.toml");
    for environment in ["dev", "prod"] {
        let manifest = Manifest::load(&path, environment).unwrap();
        assert_eq!(manifest.services.len(), 6);
        assert_eq!(manifest.databases.len(), 5);
    }
}

#[test]
fn alarms_are_on_for_all_services_or_for_one() {
    let told = |text: &str| {
        let manifest = read(&format!("{SMALL}{text}"), "dev").unwrap();
        let watched = manifest
            .services
            .iter()
            .map(|service| service.alarms)
            .collect::<Vec<_>>();
        (manifest.alarms.is_some(), watched)
    };
    assert_eq!(told(""), (false, vec![false, false]));
    assert_eq!(told("\n[alarms]\nenabled = true\n"), (true, vec![true, true]));
    assert_eq!(
        told("\n[environments.dev.services.web]\nalarms = true\n"),
        (true, vec![false, true])
    );
    let refused = error_of(&format!("{SMALL}\n[alarms]\nenabled = true\nemail = \"nobody\"\n"));
    assert!(refused.contains("'nobody' is no e-mail address"), "{refused}");
}

#[test]
fn a_database_is_not_named_with_a_word_that_postgresql_keeps() {
    let text = SMALL.replace("[databases.orders]", "[databases.orders]\nname = \"order\"");
    insta::assert_snapshot!(error_of(&text), @r#"deployer.toml:9: databases.orders.name: 'order' is a word that RDS or PostgreSQL keeps for itself; say another `name = "…"`"#);
}

#[test]
fn a_way_out_is_read_with_its_reason_and_needs_a_network_that_has_one() {
    let way = "egress = [{ cidr = \"203.0.113.0/24\", port = 587, reason = \"mail\" }]";
    let text = SMALL.replace("database = \"orders\"", &format!("database = \"orders\"\n{way}"));
    let manifest = read(&text, "dev").unwrap();
    let orders = &manifest.service("orders").unwrap().egress;
    assert_eq!((orders[0].cidr.as_str(), orders[0].port), ("203.0.113.0/24", 587));
    assert!(manifest.service("web").unwrap().egress.is_empty());
    let closed = format!("{text}\n[network]\nnat = \"none\"\n");
    let refused = error_of(&closed);
    assert!(refused.contains("there is no way out of this network"), "{refused}");
    let inside = text.replace("203.0.113.0/24", "10.0.1.0/24");
    let refused = error_of(&inside);
    assert!(refused.contains("10.0.1.0/24 is inside this platform"), "{refused}");
}

#[test]
fn iam_is_for_brokers_of_the_platform() {
    let text = format!("{SMALL}\n[kafka]\nsecurity = \"msk-iam\"\nbootstrap = \"broker.example.org:9092\"\n");
    let refused = error_of(&text);
    assert!(
        refused.contains("kafka.security: \"msk-iam\" is for a cluster of this platform"),
        "{refused}"
    );
}
