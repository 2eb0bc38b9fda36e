//! A product of the price list, and the search for its price.

use serde_json::Value;

/// A product: `TERM_MATCH` filters, and the usage type that selects among the results.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Product {
    /// Such as `AmazonRDS`.
    pub service: &'static str,
    pub family: &'static str,
    pub attributes: Vec<(&'static str, String)>,
    /// The usage type without its region: `NatGateway-Hours` is `EU-NatGateway-Hours` in Ireland.
    pub usage: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    pub amount: f64,
    pub currency: String,
    /// Such as `Hrs` or `GB-Mo`.
    pub unit: String,
}

impl Product {
    /// Returns the on-demand price in a list of products, each a JSON text ("Reading the price list files for an AWS service").
    /// `None` if no product matches, or if the matching ones have different prices.
    pub fn price_in(&self, list: &[String]) -> Option<Price> {
        let products = list.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
        let matching = products.filter(|found| {
            let usage = found["product"]["attributes"]["usagetype"].as_str();
            usage.is_some_and(|usage| self.matches(usage))
        });
        let mut prices: Vec<Price> = matching.flat_map(|found| on_demand(&found)).collect();
        prices.dedup();
        match prices.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    fn matches(&self, usage: &str) -> bool {
        let regional = usage.split_once('-').map(|(_, rest)| rest);
        [Some(usage), regional]
            .into_iter()
            .flatten()
            .any(|usage| usage.eq_ignore_ascii_case(&self.usage))
    }
}

/// Returns the prices of the first tier.
fn on_demand(product: &Value) -> Vec<Price> {
    let terms = product["terms"]["OnDemand"].as_object().into_iter().flatten();
    let dimensions = terms.flat_map(|(_, term)| term["priceDimensions"].as_object().into_iter().flatten());
    let first = dimensions.filter(|(_, found)| found["beginRange"].as_str().is_none_or(|begin| begin == "0"));
    let prices = first.filter_map(|(_, found)| {
        let (currency, amount) = found["pricePerUnit"].as_object()?.iter().next()?;
        Some(Price {
            amount: amount.as_str()?.parse().ok()?,
            currency: currency.clone(),
            unit: found["unit"].as_str().unwrap_or_default().to_owned(),
        })
    });
    prices.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(usage: &str, price: &str) -> String {
        let tier =
            |begin: &str, price: &str| json!({"unit": "Hrs", "beginRange": begin, "pricePerUnit": {"USD": price}});
        json!({
            "product": {"attributes": {"usagetype": usage}},
            "terms": {"OnDemand": {"x": {"priceDimensions": {"a": tier("0", price), "b": tier("1000", "0.001")}}},
                      "Reserved": {"y": {"priceDimensions": {"c": tier("0", "0.0001")}}}},
        })
        .to_string()
    }

    fn nat() -> Product {
        Product {
            service: "AmazonEC2",
            family: "NAT Gateway",
            attributes: Vec::new(),
            usage: "NatGateway-Hours".into(),
        }
    }

    #[test]
    fn the_on_demand_price_of_the_first_tier_is_found_for_every_region_prefix() {
        for usage in ["NatGateway-Hours", "EU-NatGateway-Hours", "USE2-NatGateway-Hours"] {
            let list = [listed("EU-NatGateway-Bytes", "0.9"), listed(usage, "0.048")];
            let price = nat().price_in(&list).expect("a price");
            assert_eq!(
                (price.amount, price.unit.as_str(), price.currency.as_str()),
                (0.048, "Hrs", "USD")
            );
        }
    }

    #[test]
    fn ambiguous_and_unreadable_products_have_no_price() {
        assert_eq!(nat().price_in(&[]), None);
        assert_eq!(
            nat().price_in(&["not JSON".into(), listed("EU-Another-NatGateway-Hours", "1")]),
            None
        );
        let two = [
            listed("NatGateway-Hours", "0.048"),
            listed("EU-NatGateway-Hours", "0.045"),
        ];
        assert_eq!(nat().price_in(&two), None);
    }
}
