//! The wording of each problem.

use aws::quotas::Quota;
use aws::subnets::TooFewSubnets;
use platform::manifest::{SubnetTier, Tag};
use time::macros::date;

use super::*;

#[test]
fn each_problem_says_what_is_wrong_and_how_to_solve_it() {
    let problems = [settings(), account(), network(), images()].concat();
    let messages: Vec<String> = problems
        .iter()
        .map(|problem| format!("{problem}\n    hint: {}", problem.hint()))
        .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn settings() -> Vec<Problem> {
    vec![
        Problem::PlainHttp {
            environment: text("shop-prod"),
            port: 80,
        },
        Problem::CertificateWithoutHost,
        Problem::DemoData {
            environment: text("dev"),
        },
        Problem::BrokersWithoutIam {
            environment: text("shop-prod"),
            endpoint: text("moto 5.2"),
        },
        Problem::NotACertificateArn {
            arn: text("my-certificate"),
        },
        Problem::ShiftedTraffic {
            stack: "web".into(),
            rule: "ListenerRule".into(),
            group: "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web-alt/1".into(),
            cluster: "shop-dev".into(),
        },
        Problem::AvailabilityZones {
            found: 2,
            needed: 3,
            excluded: vec![(text("us-east-1e"), vec![text("MSK"), text("db.t4g.micro")])],
        },
        Problem::KafkaZones {
            region: text("us-west-1"),
            needed: 3,
        },
        Problem::NoPostgres {
            reason: text("no PostgreSQL is installed"),
        },
        Problem::NoBroker {
            reason: text("no broker is installed"),
        },
        Problem::SessionExpires {
            minutes: 30,
            needed: 46.0,
        },
        Problem::BrokerStorage {
            planned_gib: 150,
            actual: 200,
            least: 210,
            former: 100,
        },
        Problem::NameTaken {
            resource: NamedResource::LogGroup,
            name: text("/ecs/shop-dev/web"),
        },
        Problem::NameTaken {
            resource: NamedResource::Repository,
            name: text("shop-dev/web"),
        },
        Problem::NameTaken {
            resource: NamedResource::MskCluster,
            name: text("shop-dev"),
        },
        Problem::NameTaken {
            resource: NamedResource::EcsCluster,
            name: text("shop-dev"),
        },
        Problem::PortNeedsRoot {
            environment: text("prod"),
            port: 80,
        },
        Problem::PortInUse {
            environment: text("dev"),
            port: 8080,
            by: text("pid 7, nginx"),
        },
    ]
}

fn account() -> Vec<Problem> {
    vec![
        CertificateProblem::Region {
            region: text("eu-west-1"),
            needed: text("eu-central-1"),
        }
        .into(),
        CertificateProblem::Missing {
            arn: text("arn:aws:acm:eu-west-1:1:certificate/1"),
            region: text("eu-west-1"),
        }
        .into(),
        CertificateProblem::Status {
            status: text("PENDING_VALIDATION"),
        }
        .into(),
        CertificateProblem::Status { status: text("FAILED") }.into(),
        CertificateProblem::Expired {
            date: date!(2026 - 01 - 02),
        }
        .into(),
        CertificateProblem::ExpiresSoon {
            date: date!(2026 - 01 - 02),
        }
        .into(),
        HostedZoneProblem::Missing {
            zone: text("Z0123456789ABCDEFGHIJ"),
        }
        .into(),
        HostedZoneProblem::Private {
            zone: text("Z0123456789ABCDEFGHIJ"),
            name: text("example.org"),
        }
        .into(),
        HostedZoneProblem::OtherDomain {
            host: text("shop.example.com"),
            zone: text("Z0123456789ABCDEFGHIJ"),
            name: text("example.org"),
        }
        .into(),
        SecretProblem::Missing {
            service: text("orders"),
            variable: text("TOKEN"),
            arn: text("arn:aws:secretsmanager:eu-central-1:000000000000:secret:stripe-AbCdEf"),
        }
        .into(),
        SecretProblem::Deleted {
            service: text("orders"),
            variable: text("TOKEN"),
            arn: text("arn:aws:secretsmanager:eu-central-1:000000000000:secret:stripe-AbCdEf"),
        }
        .into(),
        SecretProblem::MissingParameter {
            service: text("orders"),
            variable: text("TOKEN"),
            name: text("/team/token"),
            region: text("eu-central-1"),
        }
        .into(),
        QuotaProblem::Exceeded {
            quota: Quota {
                service: "vpc",
                code: "L-F678F1CE",
            },
            name: "VPCs per Region",
            needed: 1,
            used: 5,
            value: 5.0,
            region: text("eu-central-1"),
        }
        .into(),
        QuotaProblem::Fargate {
            quota: Quota {
                service: "fargate",
                code: "L-3032A538",
            },
            name: "Fargate On-Demand vCPU resource count",
            start: 6.0,
            rollout: 12.0,
            maximum: 24.0,
            others: 0.5,
            value: 6.0,
            region: text("eu-central-1"),
        }
        .into(),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list of all problems")]
fn network() -> Vec<Problem> {
    let (subnet, zone, table) = (text("subnet-1"), text("eu-central-1a"), text("rtb-1"));
    let (private, isolated) = (SubnetTier::Private, SubnetTier::Isolated);
    let vpc = text("vpc-0123456789abcdef0");
    let missing = vec![text("ecr.dkr"), text("s3")];
    let way_out = |target: Option<&str>| NetworkProblem::NoWayOut {
        subnet: text("subnet-1"),
        table: text("rtb-1"),
        target: target.map(text),
        missing: vec![text("ecr.dkr"), text("s3")],
    };
    let too_few = |zones: &[&str]| {
        NetworkProblem::from(TooFewSubnets {
            tier: SubnetTier::Private,
            vpc: text("vpc-0123456789abcdef0"),
            tag: Tag {
                key: text("tier"),
                value: text("private"),
            },
            zones: zones.iter().map(|zone| text(zone)).collect(),
            needed: 2,
        })
    };
    let all = [
        NetworkProblem::Missing {
            vpc: vpc.clone(),
            region: text("eu-central-1"),
        },
        NetworkProblem::Dns {
            vpc: vpc.clone(),
            setting: "hostnames",
        },
        NetworkProblem::Shared {
            vpc: vpc.clone(),
            owner: text("111122223333"),
        },
        NetworkProblem::NotInVpc {
            tier: private,
            subnet: subnet.clone(),
            vpc: vpc.clone(),
        },
        too_few(&[]),
        too_few(&["eu-central-1a"]),
        NetworkProblem::OtherTag {
            tier: private,
            subnet: subnet.clone(),
        },
        NetworkProblem::OneZone {
            tier: private,
            zone: zone.clone(),
        },
        NetworkProblem::SameZone {
            tier: isolated,
            zone: zone.clone(),
            subnets: vec![subnet.clone(), text("subnet-2")],
        },
        NetworkProblem::ZoneWithoutBalancer {
            subnet: subnet.clone(),
            zone: zone.clone(),
        },
        NetworkProblem::ZoneWithoutKafka {
            subnet: subnet.clone(),
            zone,
        },
        NetworkProblem::ZonesWithoutClass {
            tier: isolated,
            class: text("db.t4g.micro"),
        },
        NetworkProblem::NotPublic {
            subnet: subnet.clone(),
            table: table.clone(),
        },
        NetworkProblem::PublicData {
            subnet: subnet.clone(),
            table: table.clone(),
        },
        way_out(None),
        way_out(Some("igw-1")),
        way_out(Some("nat-1")),
        NetworkProblem::UnknownWayOut {
            subnet: subnet.clone(),
            table,
            missing,
            through: text("tgw-1"),
        },
        NetworkProblem::NoTable { subnet: subnet.clone() },
        NetworkProblem::EndpointClosed {
            endpoint: text("vpce-1"),
            api: text("logs"),
            subnet: subnet.clone(),
            cidr: text("10.0.1.0/24"),
        },
        NetworkProblem::BalancerAddresses {
            subnet,
            free: 3,
            needed: 8,
        },
        NetworkProblem::Addresses {
            tier: private,
            free: 3,
            needed: 12,
            use_: "the tasks of the first start need",
        },
        NetworkProblem::Moved {
            before: text("vpc-1"),
            after: vpc,
        },
        NetworkProblem::MovedBrokers {
            before: text("subnet-1,subnet-2"),
            after: text("subnet-1,subnet-3"),
        },
    ];
    all.map(Problem::from).into()
}

fn images() -> Vec<Problem> {
    let (service, image) = (text("orders"), text("ghcr.io/shop/orders:1"));
    vec![
        Problem::ImageByTag {
            service: service.clone(),
            image: image.clone(),
        },
        Problem::ImagePlatform {
            service: service.clone(),
            image: image.clone(),
            expected: text("linux/amd64"),
            found: vec![text("linux/arm64")],
        },
        Problem::ImageMissing {
            service: service.clone(),
            image: image.clone(),
        },
        Problem::ImageUnchecked {
            service: service.clone(),
            image: image.clone(),
            reason: text("timeout"),
        },
        Problem::ImageElsewhere {
            service,
            image,
            repository: text("shop/orders"),
            url: text("http://127.0.0.1:4566"),
        },
        CrateProblem::NoWorkspace { folder: "/shop".into() }.into(),
        CrateProblem::NoCargo {
            reason: text("not found"),
        }
        .into(),
        CrateProblem::CargoMetadata {
            folder: "/shop".into(),
            message: text("error: invalid type"),
        }
        .into(),
        CrateProblem::NoBinary {
            service: text("web"),
            package: text("web"),
            folder: "/shop".into(),
            known: vec![text("wbe")],
        }
        .into(),
        CrateProblem::NoLockFile { folder: "/shop".into() }.into(),
    ]
}
