//! Tests of RDS's groups and tags, which calls create, change and delete.

use embedded_endpoint::Behavior;

use crate::endpoint::{Endpoint, element};

const RDS: (&str, &str) = ("rds", "2014-10-31");

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of calls")]
async fn groups_of_subnets_and_parameters_are_created_changed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 105, Behavior::default()).await;
    let versions = endpoint.rds(&[("Action", "DescribeDBEngineVersions")]).await.unwrap();
    let family = element(&versions, "DBParameterGroupFamily").unwrap();
    let name = ("DBParameterGroupName", "Blue");
    let parameter = |parameter, value, method| {
        [
            name,
            ("Parameters.Parameter.1.ParameterName", parameter),
            ("Parameters.Parameter.1.ParameterValue", value),
            ("Parameters.Parameter.1.ApplyMethod", method),
        ]
    };
    let group = [name, ("DBParameterGroupFamily", family), ("Description", "d")];
    let tag = [("Tags.Tag.1.Key", "k"), ("Tags.Tag.1.Value", "v")];
    let arn = ("ResourceName", "arn:aws:rds:us-east-1:000000000000:pg:blue");
    endpoint
        .expect(
            RDS,
            &[
                ("CreateDBParameterGroup", &group, None),
                ("CreateDBParameterGroup", &group, Some("DBParameterGroupAlreadyExists")),
                (
                    "ModifyDBParameterGroup",
                    &parameter("work_mem", "8192", "immediate"),
                    None,
                ),
                (
                    "ModifyDBParameterGroup",
                    &parameter("max_connections", "9", "immediate"),
                    Some("InvalidParameterCombination"),
                ),
                (
                    "ModifyDBParameterGroup",
                    &parameter("listen_addresses", "*", "immediate"),
                    Some("InvalidParameterCombination"),
                ),
                (
                    "ModifyDBParameterGroup",
                    &parameter("work_memory", "1", "immediate"),
                    Some("InvalidParameterValue"),
                ),
                ("AddTagsToResource", &[arn, tag[0], tag[1]], None),
                (
                    "AddTagsToResource",
                    &[
                        ("ResourceName", "arn:aws:rds:us-east-1:000000000000:pg:red"),
                        tag[0],
                        tag[1],
                    ],
                    Some("DBParameterGroupNotFound"),
                ),
            ],
        )
        .await;
    let of_user = [("Action", "DescribeDBParameters"), name, ("Source", "user")];
    let parameters = endpoint.rds(&of_user).await.unwrap();
    for (member, value) in [
        ("ParameterName", "work_mem"),
        ("ParameterValue", "8192"),
        ("ApplyMethod", "immediate"),
        ("ApplyType", "dynamic"),
    ] {
        assert_eq!(element(&parameters, member), Some(value), "{parameters}");
    }
    let all = endpoint.rds(&[("Action", "DescribeDBParameters"), name]).await.unwrap();
    assert_eq!(all.matches("<ParameterName>").count(), 100);
    assert!(all.contains("<Marker>"));
    let tags = endpoint.rds(&[("Action", "ListTagsForResource"), arn]).await.unwrap();
    assert_eq!(element(&tags, "Value"), Some("v"));

    let describe = [("Action", "DescribeSubnets")];
    let subnets = endpoint.query("ec2", "2016-11-15", &describe).await.unwrap();
    let subnets: Vec<&str> = subnets
        .split("<subnetId>")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('<')?.0))
        .collect();
    let name_of = ("DBSubnetGroupName", "net");
    let two = [
        ("SubnetIds.SubnetIdentifier.1", subnets[0]),
        ("SubnetIds.SubnetIdentifier.2", subnets[1]),
    ];
    let text = ("DBSubnetGroupDescription", "d");
    endpoint
        .expect(
            RDS,
            &[
                (
                    "CreateDBSubnetGroup",
                    &[name_of, text, two[0]],
                    Some("DBSubnetGroupDoesNotCoverEnoughAZs"),
                ),
                (
                    "CreateDBSubnetGroup",
                    &[name_of, text, two[0], ("SubnetIds.SubnetIdentifier.2", "subnet-1")],
                    Some("InvalidSubnet"),
                ),
                ("CreateDBSubnetGroup", &[name_of, text, two[0], two[1]], None),
                (
                    "ModifyDBSubnetGroup",
                    &[
                        name_of,
                        ("SubnetIds.SubnetIdentifier.1", subnets[1]),
                        ("SubnetIds.SubnetIdentifier.2", subnets[2]),
                    ],
                    None,
                ),
                ("DeleteDBSubnetGroup", &[name_of], None),
                ("DeleteDBSubnetGroup", &[name_of], Some("DBSubnetGroupNotFoundFault")),
                ("RemoveTagsFromResource", &[arn, ("TagKeys.member.1", "k")], None),
                ("ResetDBParameterGroup", &[name, ("ResetAllParameters", "true")], None),
                ("DeleteDBParameterGroup", &[name], None),
                ("DeleteDBParameterGroup", &[name], None),
                ("DescribeDBParameters", &[name], Some("DBParameterGroupNotFound")),
                ("DescribeOrderableDBInstanceOptions", &[("Engine", "postgres")], None),
                (
                    "DescribeDBClusters",
                    &[("DBClusterIdentifier", "c")],
                    Some("DBClusterNotFoundFault"),
                ),
                (
                    "DescribeDBInstances",
                    &[
                        ("Filters.Filter.1.Name", "colour"),
                        ("Filters.Filter.1.Values.Value.1", "blue"),
                    ],
                    Some("InvalidParameterValue"),
                ),
                (
                    "DescribeDBInstances",
                    &[
                        ("Filters.Filter.1.Name", "engine"),
                        ("Filters.Filter.1.Values.Value.1", "mysql"),
                    ],
                    None,
                ),
            ],
        )
        .await;
    endpoint.stop().await;
}
