//! Averages for those who have not deployed yet.

use super::Operation;

/// Type, seconds to create, seconds to update: the averages with which `rain forecast` begins (AWS CloudFormation's
/// `rain`, measured in us-east-1). Types that are not here take seconds rather than minutes.
const TABLE: [(&str, f64, f64); 9] = [
    ("AWS::MSK::Cluster", 1833.0, 1481.0),
    ("AWS::MSK::ServerlessCluster", 138.0, 1.0),
    ("AWS::RDS::DBInstance", 595.0, 171.0),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", 116.0, 2.0),
    ("AWS::EC2::NatGateway", 106.0, 5.0),
    ("AWS::ECS::Service", 119.0, 71.0),
    ("AWS::KMS::Key", 122.0, 71.0),
    ("AWS::EC2::VPCEndpoint", 47.0, 11.0),
    ("AWS::ServiceDiscovery::PrivateDnsNamespace", 46.0, 12.0),
];

/// The table's seconds; it knows no deletions.
pub fn seconds(kind: &str, operation: Operation) -> Option<f64> {
    let (_, create, update) = TABLE.iter().find(|(known, _, _)| *known == kind)?;
    match operation {
        Operation::Create => Some(*create),
        Operation::Update => Some(*update),
        Operation::Delete => None,
    }
}
