//! Availability Zones of the endpoint's region.

use serde_json::{Value, json};

use crate::Context;
use endpoint_core::region;

/// Returns the names of the zones.
pub fn names(cx: &Context) -> Vec<String> {
    region::zones(cx.region())
}

/// Returns a zone's ID: `use1-az1` for `us-east-1a`. Accounts differ in the zone that they call by a name; in this one, `us-east-1c` is
/// not the zone without MSK brokers, `use1-az3`.
pub fn id(cx: &Context, zone: &str) -> String {
    let mut short = String::new();
    for (at, word) in cx.region().split('-').enumerate() {
        short.push_str(if at == 0 { word } else { abbreviated(word) });
    }
    let number = match zone.bytes().last() {
        Some(b'c') if cx.region() == "us-east-1" => 4,
        suffix => suffix.map_or(1, |suffix| suffix.saturating_sub(b'a') + 1),
    };
    format!("{short}-az{number}")
}

/// Returns the domain of private DNS names (Amazon VPC User Guide, "DHCP option sets").
pub fn internal_domain(cx: &Context) -> String {
    match cx.region() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    }
}

/// Returns the part of a zone's ID for a word of the region's name: `ne` for `northeast`, the first character for others.
fn abbreviated(word: &str) -> &str {
    match word {
        "northeast" => "ne",
        "northwest" => "nw",
        "southeast" => "se",
        "southwest" => "sw",
        _ => &word[..word.len().min(1)],
    }
}

pub fn describe(cx: &Context) -> Vec<Value> {
    let shown = |name: String| {
        json!({
            "ZoneName": name, "ZoneId": id(cx, &name), "State": "available", "RegionName": cx.region(),
            "OptInStatus": "opt-in-not-required", "ZoneType": "availability-zone", "GroupName": cx.region(),
            "NetworkBorderGroup": cx.region(), "Messages": [],
        })
    };
    names(cx).into_iter().map(shown).collect()
}

/// The regions that are enabled in each account (Account Management Reference Guide, "Regions enabled by default").
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Describes the regions that are enabled by default, and those in use.
pub fn regions(cx: &Context) -> Vec<Value> {
    let used = cx.regions();
    let mut names: Vec<&str> = REGIONS.into_iter().chain(used.iter().map(Context::region)).collect();
    names.sort_unstable();
    names.dedup();
    let shown = names.into_iter().map(|region| {
        let endpoint = format!("ec2.{region}.amazonaws.com");
        json!({"RegionName": region, "Endpoint": endpoint, "OptInStatus": "opt-in-not-required"})
    });
    shown.collect()
}
