//! Recognition of endpoints, their addresses and their capabilities.

use serde_json::{Value, json};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "each caller makes it in place")]
fn endpoint(health: Value) -> Endpoint {
    Endpoint::from_health(&health, "http://127.0.0.1:4651/")
}

#[test]
fn each_product_is_recognized_by_its_health_document() {
    let pro = endpoint(
        json!({ "services": { "ecs": "available", "kafka": "disabled" }, "edition": "pro", "version": "4.14.0" }),
    );
    assert_eq!(
        (pro.kind, pro.to_string().as_str()),
        (EndpointKind::LocalStack, "LocalStack pro 4.14.0")
    );
    assert_eq!(
        (pro.lists("ecs"), pro.lists("kafka"), pro.lists("rds")),
        (Some(true), Some(false), Some(false))
    );
    let embedded = endpoint(json!({ "services": {}, "edition": "embedded", "version": "0.1.0" }));
    assert!(!embedded.is_foreign() && embedded.gaps().count() == 0);
    let ministack = json!({ "services": {}, "edition": "light", "version": "1.5.33", "product": "ministack" });
    assert_eq!(endpoint(ministack).to_string(), "ministack light 1.5.33");
    assert_eq!(
        endpoint(json!({ "services": {}, "product": "moto" })).to_string(),
        "moto"
    );
    let named = endpoint(json!({ "services": ["s3"], "product": "fakecloud", "version": "0.18.0" }));
    assert_eq!(
        (named.kind, named.to_string().as_str()),
        (EndpointKind::Other, "fakecloud 0.18.0")
    );
    let other = endpoint(json!({ "services": { "s3": "running" }, "edition": "sky", "version": "9" }));
    assert_eq!(other.to_string(), "an unknown endpoint sky 9");
    assert!(other.gaps().all(|(support, _)| support == Support::Unverified));
}

#[test]
fn images_and_requests_go_to_the_addresses_of_each_product() {
    let of = |product: &str, edition: &str| endpoint(json!({ "services": {}, "product": product, "edition": edition }));
    let uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/shop-dev/web";
    let ministack = of("ministack", "light");
    assert_eq!(
        ministack.push_address(uri).as_deref(),
        Some("127.0.0.1:4651/shop-dev/web")
    );
    let host = "shop-dev-lb-1a2b3c4d.us-east-1.elb.amazonaws.com";
    assert_eq!(
        ministack.load_balancer_url(host).as_deref(),
        Some("http://127.0.0.1:4651/_alb/shop-dev-lb")
    );
    let localstack = of("", "pro");
    assert_eq!(localstack.push_address(uri).as_deref(), Some(uri));
    let host = "shop.elb.localhost.localstack.cloud";
    assert_eq!(localstack.load_balancer_url(host), Some(format!("http://{host}:4651")));
    assert_eq!(of("moto", "").push_address(uri), None, "moto has no registry");
    assert_eq!(Endpoint::aws().push_address(uri).as_deref(), Some(uri));
    assert_eq!(Endpoint::aws().load_balancer_url(host), None);
}

#[test]
fn the_table_has_a_fallback_for_every_gap() {
    let moto = endpoint(json!({ "services": {}, "product": "moto" }));
    assert!(moto.lacks(Capability::Outputs) && moto.lacks(Capability::CancelUpdate));
    assert_eq!(moto.gaps().count(), CAPABILITIES.len(), "it has none of them");
    let pro = endpoint(json!({ "services": {}, "edition": "pro", "version": "4.14.0" }));
    let lines = pro
        .gaps()
        .map(|(support, row)| format!("{}: {support}; {}\n", row.description, row.fallback));
    insta::assert_snapshot!(lines.collect::<String>());
}
