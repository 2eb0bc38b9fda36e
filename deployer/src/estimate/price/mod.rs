//! The cost of a month: quantities from the templates, prices from the AWS Price List API at run time.

mod items;
mod product;

use aws::{Result, Session, pricing};
use platform::stacks::Plan;
use serde::Serialize;

pub use items::items;
pub use product::Product;

/// Hours in a month, as the AWS Pricing Calculator counts them.
const HOURS: f64 = 730.0;

/// The fixed cost of a month, without traffic, requests, logs and backups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostEstimate {
    pub region: String,
    pub currency: String,
    pub month: f64,
    pub items: Vec<CostItem>,
    /// Items without a single price in the price list.
    pub unpriced: Vec<String>,
}

/// One item with its price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostItem {
    pub what: String,
    /// Units a month: hours, GB-hours, GB-months.
    pub quantity: f64,
    pub unit: String,
    pub unit_price: f64,
    pub month: f64,
}

/// Asks AWS for the prices of the resources in the plan that are charged by time or size.
///
/// # Errors
/// The Price List API rejects a request.
pub async fn ask(aws: &Session, plan: &Plan) -> Result<CostEstimate> {
    let region = aws.region();
    let items = items(plan);
    let prices = items.iter().map(|item| price(aws, region, &item.product));
    let mut cost = CostEstimate {
        region: region.to_owned(),
        currency: if region.starts_with("cn-") { "CNY" } else { "USD" }.into(),
        month: 0.0,
        items: Vec::new(),
        unpriced: Vec::new(),
    };
    for (item, price) in items.iter().zip(futures::future::try_join_all(prices).await?) {
        match price {
            Some(price) if price.currency == cost.currency => {
                let month = price.amount * item.quantity;
                cost.month += month;
                cost.items.push(CostItem {
                    what: item.what.clone(),
                    quantity: item.quantity,
                    unit: price.unit,
                    unit_price: price.amount,
                    month,
                });
            }
            _ => cost.unpriced.push(item.what.clone()),
        }
    }
    Ok(cost)
}

async fn price(aws: &Session, region: &str, product: &Product) -> Result<Option<product::Price>> {
    let mut attributes = vec![("regionCode", region), ("productFamily", product.family)];
    attributes.extend(product.attributes.iter().map(|(field, value)| (*field, value.as_str())));
    let products = pricing::products(aws, product.service, &attributes).await?;
    Ok(product.price_in(&products))
}

/// Renders the estimate as text.
pub fn render(cost: &CostEstimate) -> String {
    let mut text = format!("a month in {}:\n", cost.region);
    for item in &cost.items {
        text.push_str(&format!(
            "  {:>9.2} {}  {}  ({} {} at {})\n",
            item.month, cost.currency, item.what, item.quantity, item.unit, item.unit_price
        ));
    }
    text.push_str(&format!(
        "  {:>9.2} {}  in total, on demand, without traffic, requests, logs and backups\n",
        cost.month, cost.currency
    ));
    if !cost.unpriced.is_empty() {
        text.push_str(&format!("no price found for: {}\n", cost.unpriced.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::testing::FakeAws;

    /// A product in the format of `GetProducts`.
    fn listed(usage: &str, unit: &str, price: &str) -> String {
        let product = serde_json::json!({
            "product": {"attributes": {"usagetype": usage}},
            "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": {
                "unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": price}}}}}},
        });
        serde_json::json!({"FormatVersion": "aws_v1", "PriceList": [product.to_string()]}).to_string()
    }

    #[tokio::test]
    async fn prices_come_from_the_api_and_items_without_one_are_listed() {
        let endpoint = FakeAws::start(|call| {
            let (operation, body) = (call.operation.as_str(), call.body.as_str());
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
        let aws = endpoint.session().await;
        let cost = ask(&aws, &crate::command::testing::plan("prod")).await.expect("prices");
        let named = |what: &str| cost.items.iter().find(|item| item.what.contains(what));
        assert_eq!(named("NAT").map(|item| item.month), Some(0.5 * 3.0 * HOURS));
        assert_eq!(named("load balancer").map(|item| item.month), Some(0.25 * HOURS));
        assert!((cost.month - (1.5 + 0.25) * HOURS).abs() < 1e-9);
        insta::assert_snapshot!(render(&cost), @"
        a month in us-east-1:
             182.50 USD  load balancer  (730 Hrs at 0.25)
            1095.00 USD  NAT gateway  (2190 Hrs at 0.5)
            1277.50 USD  in total, on demand, without traffic, requests, logs and backups
        no price found for: Fargate memory, Fargate vCPU, Kafka storage, Kafka broker kafka.m7g.large, database db.t4g.medium, Multi-AZ, database storage gp3, Multi-AZ
        ");
    }
}
