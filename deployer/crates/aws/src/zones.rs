//! Availability zones: those that offer what a plan needs, the choice among them, and those of deployed subnets.

use std::collections::BTreeMap;

use platform::stacks::ZoneNeeds;
use serde_json::{Value, json};

use crate::cloudformation::stack_resources;
use crate::ec2;
use crate::error::Result;
use crate::session::Session;
use crate::signed_request::{
    DESCRIBE_AVAILABILITY_ZONES, DESCRIBE_ORDERABLE_DB_INSTANCE_OPTIONS, DESCRIBE_SUBNETS, items,
};

/// The zone ID in which MSK has no brokers (Amazon MSK API Reference, `BrokerNodeGroupInfo`: "Client subnets can't occupy the
/// Availability Zone with ID use1-az3").
const WITHOUT_KAFKA: &str = "use1-az3";

/// An availability zone of the region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Such as `us-east-1a`; accounts differ in the zones that they call by one name.
    pub name: String,
    /// Such as `use1-az3`, the same in every account.
    pub id: String,
    /// The needs that it does not offer, such as `MSK` or `db.t4g.micro`.
    pub lacks: Vec<String>,
}

/// Returns the zones of the region in the order of their names, without local zones and those that are not available.
///
/// # Errors
/// The zones cannot be listed. A failure to list the classes of databases is not an error: RDS reports them again.
pub async fn survey(aws: &Session, needs: &ZoneNeeds) -> Result<Vec<Zone>> {
    let mut zones = list(aws).await?;
    for zone in &mut zones {
        if needs.kafka && zone.id == WITHOUT_KAFKA {
            zone.lacks.push("MSK".to_owned());
        }
    }
    for class in &needs.database_classes {
        let offered = match zones_of_class(aws, class).await {
            Ok(offered) => offered,
            Err(error) => {
                tracing::debug!(%error, class, "cannot list the zones of an instance class");
                continue;
            }
        };
        // No zone at all: the endpoint does not know the class, or it has another name there.
        if offered.is_empty() {
            continue;
        }
        for zone in zones.iter_mut().filter(|zone| !offered.contains(&zone.name)) {
            zone.lacks.push(class.clone());
        }
    }
    Ok(zones)
}

/// Completes the zones of a network: those that are deployed stay in their places, the others are the first unused ones that lack
/// nothing. `None` if there are not enough.
pub fn choose(deployed: &[Option<String>], zones: &[Zone]) -> Option<Vec<String>> {
    let usable = zones.iter().filter(|zone| zone.lacks.is_empty());
    let mut unused = usable.map(|zone| &zone.name).filter(|name| {
        let mut taken = deployed.iter().flatten();
        taken.all(|taken| taken != *name)
    });
    let zones = deployed
        .iter()
        .map(|zone| zone.clone().or_else(|| unused.next().cloned()));
    zones.collect()
}

/// Returns the zones of a deployed network by their numbers, from its subnets `…Subnet1`, `…Subnet2`.
///
/// # Errors
/// A request fails.
pub async fn deployed(aws: &Session, stack: &str) -> Result<BTreeMap<usize, String>> {
    let resources = stack_resources(aws, stack).await?;
    let subnets: BTreeMap<String, usize> = resources
        .into_iter()
        .filter(|resource| resource.resource_type == "AWS::EC2::Subnet" && !resource.physical_id.is_empty())
        .filter_map(|resource| {
            let number = resource.logical_id.rsplit_once("Subnet")?.1.parse().ok()?;
            Some((resource.physical_id, number))
        })
        .collect();
    if subnets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let input = json!({ "SubnetId": subnets.keys().collect::<Vec<_>>() });
    let found = ec2::list(aws, DESCRIBE_SUBNETS, input, "subnetSet").await?;
    let zones = found.iter().filter_map(|subnet| {
        let number = subnets.get(subnet["subnetId"].as_str()?)?;
        Some((*number, subnet["availabilityZone"].as_str()?.to_owned()))
    });
    Ok(zones.collect())
}

async fn list(aws: &Session) -> Result<Vec<Zone>> {
    let all = match ec2::list(aws, DESCRIBE_AVAILABILITY_ZONES, json!({}), "availabilityZoneInfo").await {
        Ok(all) => all,
        // An imitation of AWS that does not list its zones accepts the names of the first three, which every region has.
        Err(error) if error.is_unsupported() => {
            let zones = ["a", "b", "c"].map(|suffix| Zone {
                name: format!("{}{suffix}", aws.region()),
                id: String::new(),
                lacks: Vec::new(),
            });
            return Ok(zones.into());
        }
        Err(error) => return Err(error),
    };
    // The region's own zones: opted-in local and wavelength zones are listed too.
    let is = |zone: &Value, member: &str, value: &str| zone[member].as_str().is_none_or(|found| found == value);
    let own = all
        .iter()
        .filter(|zone| is(zone, "zoneState", "available") && is(zone, "zoneType", "availability-zone"));
    let text = |zone: &Value, member: &str| zone[member].as_str().unwrap_or_default().to_owned();
    let mut zones: Vec<Zone> = own
        .map(|zone| Zone {
            name: text(zone, "zoneName"),
            id: text(zone, "zoneId"),
            lacks: Vec::new(),
        })
        .collect();
    zones.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(zones)
}

/// Returns the zones in which PostgreSQL runs on an instance class, from the first page of the orderable options.
async fn zones_of_class(aws: &Session, class: &str) -> Result<Vec<String>> {
    let input = json!({ "Engine": "postgres", "DBInstanceClass": class, "Vpc": "true" });
    let response = aws.signed.call(DESCRIBE_ORDERABLE_DB_INSTANCE_OPTIONS, &input).await?;
    let options = items(&response["OrderableDBInstanceOptions"], "OrderableDBInstanceOption");
    let zones = options
        .into_iter()
        .flat_map(|option| items(&option["AvailabilityZones"], "AvailabilityZone"));
    let names = zones.filter_map(|zone: &Value| zone["Name"].as_str().map(str::to_owned));
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeAws, error_response, query_response};

    fn zone(name: &str, id: &str, zone_type: &str, state: &str) -> String {
        format!(
            "<item><zoneName>{name}</zoneName><zoneId>{id}</zoneId><zoneType>{zone_type}</zoneType><zoneState>{state}</zoneState></item>"
        )
    }

    /// Six zones as in us-east-1, one without MSK, one impaired, and an opted-in local zone. `db.old` is offered in two zones.
    async fn region() -> FakeAws {
        FakeAws::start(|call| match call.operation.as_str() {
            "DescribeAvailabilityZones" => {
                let zones = [
                    zone("us-east-1b", "use1-az6", "availability-zone", "available"),
                    zone("us-east-1a", "use1-az4", "availability-zone", "available"),
                    zone("us-east-1c", "use1-az1", "availability-zone", "impaired"),
                    zone("us-east-1e", "use1-az3", "availability-zone", "available"),
                    zone("us-east-1f", "use1-az5", "availability-zone", "available"),
                    zone("us-east-1-bos-1a", "use1-bos1-az1", "local-zone", "available"),
                ]
                .concat();
                let text = format!("<DescribeAvailabilityZonesResponse><availabilityZoneInfo>{zones}</availabilityZoneInfo></DescribeAvailabilityZonesResponse>");
                Some((200, text))
            }
            "DescribeOrderableDBInstanceOptions" if call.field("DBInstanceClass") == "db.old" => {
                let name = |name: &str| format!("<AvailabilityZone><Name>{name}</Name></AvailabilityZone>");
                let zones = format!("{}{}", name("us-east-1a"), name("us-east-1f"));
                let option = format!("<OrderableDBInstanceOption><AvailabilityZones>{zones}</AvailabilityZones></OrderableDBInstanceOption>");
                query_response(
                    "DescribeOrderableDBInstanceOptions",
                    &format!("<OrderableDBInstanceOptions>{option}</OrderableDBInstanceOptions>"),
                )
            }
            _ => error_response(501, "InternalFailure", "The operation has not yet been implemented"),
        })
        .await
    }

    #[tokio::test]
    async fn zones_without_brokers_or_the_class_are_not_chosen() {
        let endpoint = region().await;
        let aws = endpoint.session().await;
        let survey = async |kafka, classes: &[&str]| {
            let database_classes = classes.iter().map(|class| (*class).to_owned()).collect();
            let needs = ZoneNeeds {
                kafka,
                database_classes,
            };
            survey(&aws, &needs).await.expect("zones")
        };
        let anything = survey(false, &["db.unknown"]).await;
        let names: Vec<&str> = anything.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(names, ["us-east-1a", "us-east-1b", "us-east-1e", "us-east-1f"]);
        assert!(anything.iter().all(|zone| zone.lacks.is_empty()));
        let new = [const { None }; 3];
        let chosen = choose(&new, &survey(true, &[]).await).expect("three zones");
        assert_eq!(chosen, ["us-east-1a", "us-east-1b", "us-east-1f"]);
        let both = survey(true, &["db.old"]).await;
        assert_eq!(
            choose(&new[..2], &both).expect("two zones"),
            ["us-east-1a", "us-east-1f"]
        );
        assert_eq!(choose(&new, &both), None);
    }

    #[test]
    fn deployed_zones_keep_their_places_and_another_one_joins_them() {
        let zones: Vec<Zone> = ["a", "b", "c"]
            .map(|name| Zone {
                name: name.into(),
                id: String::new(),
                lacks: Vec::new(),
            })
            .into();
        let deployed = [Some("c".to_owned()), Some("gone".to_owned()), None];
        assert_eq!(choose(&deployed, &zones).expect("a third zone"), ["c", "gone", "a"]);
    }
}
