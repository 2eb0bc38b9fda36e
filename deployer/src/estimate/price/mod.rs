//! What a month costs: quantities from the templates, prices from the AWS Price List API at run time, never from a table here.

mod items;
mod product;

use aws_sdk_pricing::types::{Filter, FilterType};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::stacks::Plan;
use crate::target::Aws;

pub use items::{Item, items};
pub use product::Product;

/// Hours in a month, as the AWS Pricing Calculator counts them.
const HOURS: f64 = 730.0;

/// The standing cost of a month; traffic, requests, logs and backups come on top.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Money {
    pub region: String,
    pub currency: String,
    pub month: f64,
    pub items: Vec<Priced>,
    /// What AWS told no single price for.
    pub unpriced: Vec<String>,
}

/// One item with its price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Priced {
    pub what: String,
    /// Units a month: hours, GB-hours, GB-months.
    pub quantity: f64,
    pub unit: String,
    pub unit_price: f64,
    pub month: f64,
}

/// Asks AWS for the price of everything in the plan that stands and costs.
pub async fn ask(aws: &Aws, plan: &Plan) -> Result<Money> {
    let region = &aws.region;
    let items = items(plan);
    let asked = items.iter().map(|item| price(aws, region, &item.product));
    let mut money = Money {
        region: region.clone(),
        currency: if region.starts_with("cn-") { "CNY" } else { "USD" }.into(),
        month: 0.0,
        items: Vec::new(),
        unpriced: Vec::new(),
    };
    for (item, price) in items.iter().zip(futures::future::try_join_all(asked).await?) {
        match price {
            Some(price) if price.currency == money.currency => {
                let month = price.amount * item.quantity;
                money.month += month;
                money.items.push(Priced {
                    what: item.what.clone(),
                    quantity: item.quantity,
                    unit: price.unit,
                    unit_price: price.amount,
                    month,
                });
            }
            _ => money.unpriced.push(item.what.clone()),
        }
    }
    Ok(money)
}

async fn price(aws: &Aws, region: &str, product: &Product) -> Result<Option<product::Price>> {
    let mut request = aws
        .pricing
        .get_products()
        .service_code(product.service)
        .format_version("aws_v1");
    let fixed = [("regionCode", region), ("productFamily", product.family)];
    let own = product.attributes.iter().map(|(field, value)| (*field, value.as_str()));
    for (field, value) in fixed.into_iter().chain(own) {
        let filter = Filter::builder()
            .r#type(FilterType::TermMatch)
            .field(field)
            .value(value)
            .build();
        request = request.filters(filter.map_err(anyhow::Error::from)?);
    }
    let pages = request.into_paginator().items().send();
    let list: Vec<String> = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .map_err(Error::from)?;
    Ok(product.price_in(&list))
}

/// The region of the nearest Price List endpoint ("Price List Service API endpoints").
pub fn endpoint_region(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("eu" | "il" | "me" | "af") => "eu-central-1",
        Some("ap") => "ap-south-1",
        Some("cn") => "cn-northwest-1",
        _ => "us-east-1",
    }
}

/// Lines for people.
pub fn render(money: &Money) -> String {
    let mut text = format!("a month in {}:\n", money.region);
    for item in &money.items {
        text.push_str(&format!(
            "  {:>9.2} {}  {}  ({} {} at {})\n",
            item.month, money.currency, item.what, item.quantity, item.unit, item.unit_price
        ));
    }
    text.push_str(&format!(
        "  {:>9.2} {}  all of this, on demand, as the AWS Price List API says now; traffic, requests, logs and backups come on top\n",
        money.month, money.currency
    ));
    if !money.unpriced.is_empty() {
        text.push_str(&format!("no price was found for: {}\n", money.unpriced.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::target::scripted::Scripted;
    use ui::Ui;

    /// A product as GetProducts gives it, for the one family that this list knows.
    fn listed(usage: &str, unit: &str, price: &str) -> String {
        let product = serde_json::json!({
            "product": {"attributes": {"usagetype": usage}},
            "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": {
                "unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": price}}}}}},
        });
        serde_json::json!({"FormatVersion": "aws_v1", "PriceList": [product.to_string()]}).to_string()
    }

    #[tokio::test]
    async fn prices_come_from_the_api_alone_and_what_it_does_not_tell_is_said() {
        let endpoint = Scripted::start(|operation, body| {
            assert_eq!(operation, "GetProducts");
            Some((
                200,
                match body {
                    body if body.contains("NAT Gateway") => listed("NatGateway-Hours", "Hrs", "0.5000000000"),
                    body if body.contains("Load Balancer-Application") => {
                        listed("LoadBalancerUsage", "Hrs", "0.2500000000")
                    }
                    _ => r#"{"FormatVersion":"aws_v1","PriceList":[]}"#.to_owned(),
                },
            ))
        })
        .await;
        let (ui, _) = Ui::recording();
        let aws = endpoint.aws(&ui).await;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let manifest = crate::manifest::Manifest::load(&path, "prod").expect("the manifest");
        let money = ask(&aws, &crate::stacks::plan(&manifest)).await.expect("prices");
        let named = |what: &str| money.items.iter().find(|item| item.what.contains(what));
        assert_eq!(named("NAT").map(|item| item.month), Some(0.5 * 3.0 * HOURS));
        assert_eq!(named("load balancer").map(|item| item.month), Some(0.25 * HOURS));
        assert_eq!(money.month, (1.5 + 0.25) * HOURS);
        assert!(
            money.unpriced.iter().any(|what| what.contains("Kafka broker")),
            "{:?}",
            money.unpriced
        );
        assert!(render(&money).contains("no price was found for"));
    }
}
