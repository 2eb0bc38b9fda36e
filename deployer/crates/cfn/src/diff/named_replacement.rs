//! Replacements of resources whose name the template sets.

use serde_json::Value;

use super::change::{Action, Change, PropertyChange};
use super::text::text;
use crate::schema::Recreation;

/// Types with the property that names the resource, and the property inside whose value the name is unique; without one it is
/// unique in the account and region.
const NAMES: [(&str, &str, Option<&str>); 24] = [
    ("AWS::CloudWatch::Alarm", "AlarmName", None),
    ("AWS::CloudWatch::Dashboard", "DashboardName", None),
    ("AWS::EC2::SecurityGroup", "GroupName", Some("VpcId")),
    ("AWS::ECR::Repository", "RepositoryName", None),
    ("AWS::ECS::Cluster", "ClusterName", None),
    ("AWS::ECS::Service", "ServiceName", Some("Cluster")),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name", None),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "Name", None),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName", None),
    ("AWS::IAM::Role", "RoleName", None),
    ("AWS::Logs::LogGroup", "LogGroupName", None),
    ("AWS::MSK::Cluster", "ClusterName", None),
    ("AWS::MSK::Configuration", "Name", None),
    ("AWS::MSK::ServerlessCluster", "ClusterName", None),
    ("AWS::MSK::Topic", "TopicName", Some("ClusterArn")),
    ("AWS::RDS::DBCluster", "DBClusterIdentifier", None),
    ("AWS::RDS::DBInstance", "DBInstanceIdentifier", None),
    ("AWS::RDS::DBParameterGroup", "DBParameterGroupName", None),
    ("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName", None),
    ("AWS::S3::Bucket", "BucketName", None),
    ("AWS::SNS::Topic", "TopicName", None),
    ("AWS::SSM::Parameter", "Name", None),
    ("AWS::SecretsManager::Secret", "Name", None),
    ("AWS::ServiceDiscovery::Service", "Name", Some("NamespaceId")),
];

/// Returns the name of a resource that a change certainly replaces by one of the same name, and the property that causes it.
/// CloudFormation creates the new resource before it deletes the old one, so that the name is taken (AWS CloudFormation User
/// Guide: "Name type").
pub(super) fn replaced_name(change: &Change, new: &Value) -> Option<(String, String)> {
    if change.action != Action::Modify || change.replacement != Recreation::Always {
        return None;
    }
    let (_, name, scope) = NAMES
        .iter()
        .find(|(resource_type, ..)| *resource_type == change.resource_type)?;
    let value = new["Resources"][&change.logical_id]["Properties"].get(*name)?;
    let is_changed = |property: &str| change.properties.iter().any(|changed| changed.name == property);
    if is_changed(name) || scope.is_some_and(is_changed) {
        return None;
    }
    let cause = change.properties.iter().find(|property| is_certain(property))?;
    Some((text(value), cause.name.clone()))
}

/// Returns true for a property that replaces its resource with certainty. The values of two expressions may be equal.
fn is_certain(property: &PropertyChange) -> bool {
    let is_literal = |value: &Option<String>| {
        value
            .as_ref()
            .is_none_or(|text| !text.contains("${") && !text.contains("\"Fn::"))
    };
    let is_set_or_unset = property.before.is_none() || property.after.is_none();
    property.recreation == Recreation::Always
        && (is_set_or_unset || (is_literal(&property.before) && is_literal(&property.after)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::compare;

    fn found(resource_type: &str, before: &Value, after: &Value) -> Vec<(String, String)> {
        let template =
            |properties: &Value| json!({"Resources": {"It": {"Type": resource_type, "Properties": properties}}});
        let new = template(after);
        let changes = compare(Some(&template(before)), &new);
        changes
            .iter()
            .filter_map(|change| replaced_name(change, &new))
            .collect()
    }

    #[test]
    fn a_resource_with_a_name_of_its_template_cannot_be_replaced() {
        let plain = json!({"ClusterName": "shop"});
        let encrypted = json!({"ClusterName": "shop", "EncryptionInfo": {"EncryptionAtRest": {"DataVolumeKMSKeyId": {"Ref": "Key"}}}});
        let cause = "EncryptionInfo".to_owned();
        assert_eq!(
            found("AWS::MSK::Cluster", &plain, &encrypted),
            [("shop".to_owned(), cause)]
        );
        let renamed = json!({"ClusterName": "store", "EncryptionInfo": {"EncryptionAtRest": {"DataVolumeKMSKeyId": {"Ref": "Key"}}}});
        assert_eq!(found("AWS::MSK::Cluster", &plain, &renamed), [], "another name is free");
        let unnamed = |policy: &str| json!({"EncryptionConfiguration": {"EncryptionType": policy}});
        assert_eq!(found("AWS::ECR::Repository", &unnamed("AES256"), &unnamed("KMS")), []);
    }

    #[test]
    fn a_name_is_free_in_another_scope_and_an_uncertain_replacement_does_not_count() {
        let topic = |cluster: &str, replicas: u32| json!({"TopicName": "placed", "ClusterArn": cluster, "ReplicationFactor": replicas});
        let cause = "ReplicationFactor".to_owned();
        assert_eq!(
            found("AWS::MSK::Topic", &topic("a", 2), &topic("a", 3)),
            [("placed".to_owned(), cause)]
        );
        assert_eq!(found("AWS::MSK::Topic", &topic("a", 3), &topic("b", 3)), []);
        let repository = |key: Value| json!({"RepositoryName": "shop/web", "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": key}});
        let (one, other) = (json!({"Ref": "Key"}), json!({"Ref": "KeyArn"}));
        assert_eq!(found("AWS::ECR::Repository", &repository(one), &repository(other)), []);
    }
}
