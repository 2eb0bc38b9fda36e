//! The fallback for each resource type that an endpoint may not support.

/// The fallback for an unsupported resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It is omitted from the template; the reason why it is not needed on an imitation of AWS.
    Omit(&'static str),
    /// A setting of deployer.toml replaces it.
    UseSetting(&'static str),
    None,
}

/// Fallbacks by the beginning of the type's name; the first match applies.
const TYPES: [(&str, Fallback); 17] = [
    (
        "AWS::EC2::SecurityGroupIngress",
        Fallback::Omit("traffic is not filtered there"),
    ),
    (
        "AWS::EC2::SecurityGroupEgress",
        Fallback::Omit("traffic is not filtered there"),
    ),
    ("AWS::EC2::NetworkAcl", Fallback::Omit("traffic is not filtered there")),
    ("AWS::EC2::FlowLog", Fallback::Omit("there is no traffic to log")),
    ("AWS::EC2::EIP", Fallback::Omit("tasks need no NAT there")),
    ("AWS::EC2::NatGateway", Fallback::Omit("tasks need no NAT there")),
    ("AWS::EC2::Route", Fallback::Omit("the endpoint has no routing")),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        Fallback::Omit("the endpoint has no routing"),
    ),
    ("AWS::EC2::VPCEndpoint", Fallback::Omit("the endpoint has no routing")),
    (
        "AWS::ApplicationAutoScaling::",
        Fallback::Omit("services keep their initial number of tasks"),
    ),
    ("AWS::CloudWatch::", Fallback::Omit("the endpoint has no metrics")),
    ("AWS::Logs::MetricFilter", Fallback::Omit("the endpoint has no metrics")),
    ("AWS::SNS::", Fallback::Omit("the endpoint has no alarms")),
    ("AWS::Route53::RecordSet", Fallback::Omit("its names are not public")),
    ("AWS::WAFv2::", Fallback::Omit("its load balancer is not public")),
    (
        "AWS::CertificateManager::Certificate",
        Fallback::UseSetting("set ingress.certificate to the ARN of a certificate there, in place of ingress.zone"),
    ),
    (
        "AWS::MSK::",
        Fallback::UseSetting(
            "run a Kafka broker and set kafka.bootstrap = \"host:9092\" in deployer.toml to its address: the plan then has no \
             messaging stack, and you must create the topics (or set KAFKA_CREATE_TOPICS = \"true\" in a service's \
             environment)",
        ),
    ),
];

/// Returns whether services run without resources of this type.
pub fn is_optional(resource_type: &str) -> bool {
    matches!(fallback(resource_type), Fallback::Omit(_))
}

/// Returns the fallback for a resource type.
pub fn fallback(resource_type: &str) -> Fallback {
    let found = TYPES.iter().find(|(prefix, _)| resource_type.starts_with(prefix));
    found.map_or(Fallback::None, |(_, fallback)| *fallback)
}
