//! The VPC and the subnets that the manifest chooses: they exist, and those of a deployed platform stay.

use aws::testing::FakeAws;
use platform::manifest::{Network, Tag};

use super::*;

fn existing(ids: [&str; 2]) -> ExistingNetwork {
    let tag = |value: &str| {
        Subnets::Tag(Tag {
            key: "tier".to_owned(),
            value: value.to_owned(),
        })
    };
    ExistingNetwork {
        vpc: VPC.to_owned(),
        availability_zones: 2,
        public: tag("public"),
        private: tag("private"),
        isolated: Subnets::Ids(ids.map(str::to_owned).to_vec()),
    }
}

fn deployed(vpc: &str, isolated: &str) -> cloudformation::Stack {
    let parameters = [
        ("VpcId", vpc),
        ("IsolatedSubnetIds", isolated),
        ("PrivateSubnetIds", "subnet-x,subnet-y"),
    ];
    cloudformation::Stack {
        name: "shop-prod-network".to_owned(),
        id: String::new(),
        status: "CREATE_COMPLETE".to_owned(),
        reason: None,
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        outputs: BTreeMap::new(),
        tags: BTreeMap::new(),
        changed: 0,
        protected: false,
    }
}

#[test]
fn neither_the_platform_nor_its_brokers_move() {
    let mut manifest = testing::manifest("prod");
    manifest.network = Network::Existing(existing(["subnet-1", "subnet-2"]));
    let plan = stacks::plan(&manifest);
    let same = "subnet-1,subnet-2";
    assert_eq!(moved(&plan, &deployed(VPC, same)), None);
    let before = "vpc-0fedcba9876543210".to_owned();
    let after = VPC.to_owned();
    assert_eq!(
        moved(&plan, &deployed(&before, same)),
        Some(NetworkProblem::Moved {
            before: before.clone(),
            after
        })
    );
    let brokers = moved(&plan, &deployed(VPC, "subnet-1,subnet-3"));
    assert!(matches!(brokers, Some(NetworkProblem::MovedBrokers { .. })));
    manifest.topics.clear();
    manifest.kafka = None;
    for service in &mut manifest.services {
        service.publishes.clear();
        service.consumes.clear();
    }
    assert_eq!(
        moved(&stacks::plan(&manifest), &deployed(VPC, "subnet-1,subnet-3")),
        None
    );
}

#[tokio::test]
async fn a_vpc_that_does_not_exist_and_subnets_without_the_tag_are_found_before_anything_is_created() {
    let mut manifest = testing::manifest("prod");
    manifest.network = Network::Existing(existing(["subnet-1", "subnet-2"]));
    let plan = stacks::plan(&manifest);
    let new: Vec<&Stack> = plan.stacks.iter().collect();
    for (exists, expected) in [(false, "Missing"), (true, "TooFew")] {
        let endpoint = FakeAws::start(move |call| {
            let reads = call.operation.starts_with("Describe");
            assert!(reads, "nothing is changed: {}", call.operation);
            let items = match call.operation.as_str() {
                "DescribeVpcs" if !exists => {
                    return aws::testing::error_response(400, "InvalidVpcID.NotFound", "it does not exist");
                }
                "DescribeVpcs" => format!("<vpcSet><item><vpcId>{VPC}</vpcId><ownerId>1</ownerId></item></vpcSet>"),
                "DescribeVpcAttribute" => {
                    let attribute = call.field("Attribute");
                    format!("<{attribute}><value>true</value></{attribute}>")
                }
                "DescribeSubnets" => {
                    "<subnetSet><item><subnetId>subnet-9</subnetId><availabilityZone>us-east-1a</availabilityZone>\
                    <tagSet><item><key>tier</key><value>public</value></item></tagSet></item></subnetSet>"
                        .to_owned()
                }
                _ => format!("<{0}Result><none>0</none></{0}Result>", call.operation),
            };
            Some((200, format!("<{0}Response>{items}</{0}Response>", call.operation)))
        })
        .await;
        let aws = endpoint.session().await;
        let findings = check(&aws, &manifest, &plan, &BTreeMap::new(), &new)
            .await
            .expect("an answer");
        let [
            PreflightFinding {
                problem: Problem::Network(problem),
                fatal: true,
            },
        ] = &findings[..]
        else {
            panic!("{findings:?}")
        };
        assert!(format!("{problem:?}").starts_with(expected), "{problem:?}");
    }
}
