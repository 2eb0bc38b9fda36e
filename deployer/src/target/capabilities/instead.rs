//! What a platform can do without where an endpoint does not know a resource type, and what it cannot.

/// What is done about a resource type that an endpoint does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Left out of the template; why an imitation of AWS misses nothing by it.
    LeftOut(&'static str),
    /// A setting of deployer.toml takes its place.
    Setting(&'static str),
    /// There is nothing in its place.
    Nothing,
}

/// By the beginning of the type's name; the first line that fits counts.
const TYPES: [(&str, Instead); 14] = [
    (
        "AWS::EC2::SecurityGroupIngress",
        Instead::LeftOut("traffic is not filtered there"),
    ),
    (
        "AWS::EC2::SecurityGroupEgress",
        Instead::LeftOut("traffic is not filtered there"),
    ),
    (
        "AWS::EC2::NetworkAcl",
        Instead::LeftOut("traffic is not filtered there"),
    ),
    ("AWS::EC2::FlowLog", Instead::LeftOut("there is no traffic to log")),
    ("AWS::EC2::EIP", Instead::LeftOut("tasks need no NAT there")),
    ("AWS::EC2::NatGateway", Instead::LeftOut("tasks need no NAT there")),
    ("AWS::EC2::Route", Instead::LeftOut("nothing is routed there")),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        Instead::LeftOut("nothing is routed there"),
    ),
    ("AWS::EC2::VPCEndpoint", Instead::LeftOut("nothing is routed there")),
    (
        "AWS::ApplicationAutoScaling::",
        Instead::LeftOut("services keep the number of tasks that they start with"),
    ),
    ("AWS::CloudWatch::", Instead::LeftOut("nothing is measured there")),
    ("AWS::Logs::MetricFilter", Instead::LeftOut("nothing is measured there")),
    ("AWS::SNS::", Instead::LeftOut("nobody is alarmed there")),
    (
        "AWS::MSK::",
        Instead::Setting(
            "run a Kafka broker, and set kafka.bootstrap = \"host:9092\" in deployer.toml to where it listens: there is no \
             messaging stack then, and its topics are yours to make (or set KAFKA_CREATE_TOPICS = \"true\" in a \
             service's environment)",
        ),
    ),
];

/// Whether services run without resources of this type.
pub fn is_dispensable(kind: &str) -> bool {
    matches!(instead(kind), Instead::LeftOut(_))
}

pub fn instead(kind: &str) -> Instead {
    let found = TYPES.iter().find(|(begin, _)| kind.starts_with(begin));
    found.map_or(Instead::Nothing, |(_, instead)| *instead)
}
