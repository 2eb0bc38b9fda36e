//! The availability zones of a stack's parameters: chosen for a new stack, and those of its subnets afterwards.

use aws::{cloudformation, zones};

use crate::error::{ParameterError, Result};
use platform::stacks::{Source, Stack, ZoneNeeds};

/// Returns the zone of each such parameter of a stack, in their order; empty without one.
///
/// # Errors
/// A request fails, or the region has too few zones that offer everything.
pub async fn resolve(aws: &aws::Session, stack: &Stack, former: Option<&cloudformation::Stack>) -> Result<Vec<String>> {
    let parameters: Vec<(&str, &ZoneNeeds)> = stack
        .parameters
        .iter()
        .filter_map(|parameter| match &parameter.source {
            Source::AvailabilityZone { needs, .. } => Some((parameter.name.as_str(), needs)),
            _ => None,
        })
        .collect();
    let Some((_, needs)) = parameters.first() else {
        return Ok(Vec::new());
    };
    let mut deployed: Vec<Option<String>> = vec![None; parameters.len()];
    if let Some(former) = former {
        for (zone, (name, _)) in deployed.iter_mut().zip(&parameters) {
            *zone = former.parameters.get(*name).cloned();
        }
        // A stack that was deployed with `Fn::GetAZs` has no such parameter.
        if deployed.iter().all(Option::is_none) {
            let subnets = zones::deployed(aws, &former.name).await?;
            for (index, zone) in deployed.iter_mut().enumerate() {
                *zone = subnets.get(&(index + 1)).cloned();
            }
        }
    }
    if deployed.iter().all(Option::is_some) {
        return Ok(deployed.into_iter().flatten().collect());
    }
    let zones = zones::survey(aws, needs).await?;
    let chosen = zones::choose(&deployed, &zones).ok_or_else(|| ParameterError::NoZone {
        stack: stack.name.clone(),
        needed: parameters.len(),
    })?;
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use aws::testing::{FakeAccount, FakeStack};
    use serde_json::json;

    const SUBNETS: &str = "<DescribeSubnetsResponse><subnetSet>\
        <item><subnetId>shop-dev-network-PublicSubnet1</subnetId><availabilityZone>eu-west-1c</availabilityZone></item>\
        <item><subnetId>shop-dev-network-PublicSubnet2</subnetId><availabilityZone>eu-west-1a</availabilityZone></item>\
        </subnetSet></DescribeSubnetsResponse>";

    #[tokio::test]
    async fn a_network_without_the_parameters_keeps_the_zones_of_its_subnets() {
        let plan = crate::command::testing::plan("dev");
        let stack = plan.stack("network").expect("a network");
        let mut deployed = FakeStack::new(&stack.name, "CREATE_COMPLETE");
        let subnet = json!({ "Type": "AWS::EC2::Subnet", "Properties": {} });
        deployed.template = json!({ "Resources": { "PublicSubnet1": subnet, "PublicSubnet2": subnet } });
        let account = FakeAccount::new(vec![deployed]);
        account.set_response("DescribeSubnets", SUBNETS);
        let endpoint = account.start().await;
        let aws = endpoint.session().await;
        let former = cloudformation::find_stack(&aws, &stack.name).await.expect("an answer");
        let zones = resolve(&aws, stack, former.as_ref()).await.expect("zones");
        assert_eq!(zones, ["eu-west-1c", "eu-west-1a"]);
        let mut former = former.expect("the stack");
        former.parameters = BTreeMap::from([
            ("AvailabilityZone1".to_owned(), "eu-west-1b".to_owned()),
            ("AvailabilityZone2".to_owned(), "eu-west-1c".to_owned()),
        ]);
        let zones = resolve(&aws, stack, Some(&former)).await.expect("zones");
        assert_eq!(zones, ["eu-west-1b", "eu-west-1c"]);
    }
}
