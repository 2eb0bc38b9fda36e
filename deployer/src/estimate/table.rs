//! Average durations on AWS, used before the first deployment.

use super::Operation;

/// Type, seconds to create, seconds to update: the averages of `rain forecast` (AWS CloudFormation's `rain`, measured in
/// us-east-1). Other types take seconds rather than minutes.
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

/// Returns the seconds of an operation; `None` for other types and for deletions.
pub fn seconds(kind: &str, operation: Operation) -> Option<f64> {
    let (_, create, update) = TABLE.iter().find(|(known, _, _)| *known == kind)?;
    match operation {
        Operation::Create => Some(*create),
        Operation::Update => Some(*update),
        Operation::Delete => None,
    }
}
