//! XML responses of awsQuery and ec2Query.

use serde_json::Value;

use super::casing::lower_first;
use crate::error::AwsError;

const NAMESPACES: &[(&str, &str)] = &[
    ("cloudformation", "http://cloudformation.amazonaws.com/doc/2010-05-15/"),
    ("rds", "http://rds.amazonaws.com/doc/2014-10-31/"),
    ("iam", "https://iam.amazonaws.com/doc/2010-05-08/"),
    ("sts", "https://sts.amazonaws.com/doc/2011-06-15/"),
    (
        "elasticloadbalancing",
        "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    ),
    ("sns", "http://sns.amazonaws.com/doc/2010-03-31/"),
    ("monitoring", "http://monitoring.amazonaws.com/doc/2010-08-01/"),
];

/// The element names of RDS's lists; any other list has `member`.
const RDS_ELEMENTS: &[(&str, &str)] = &[
    ("AccountQuotas", "AccountQuota"),
    ("DBInstances", "DBInstance"),
    ("DBSecurityGroups", "DBSecurityGroup"),
    ("VpcSecurityGroups", "VpcSecurityGroupMembership"),
    ("DBParameterGroups", "DBParameterGroup"),
    ("Parameters", "Parameter"),
    ("Subnets", "Subnet"),
    ("ProcessorFeatures", "ProcessorFeature"),
    ("ReadReplicaDBInstanceIdentifiers", "ReadReplicaDBInstanceIdentifier"),
    ("ReadReplicaDBClusterIdentifiers", "ReadReplicaDBClusterIdentifier"),
    ("OptionGroupMemberships", "OptionGroupMembership"),
    ("StatusInfos", "DBInstanceStatusInfo"),
    ("DomainMemberships", "DomainMembership"),
    ("AssociatedRoles", "DBInstanceRole"),
    ("TagList", "Tag"),
    ("DBSubnetGroups", "DBSubnetGroup"),
    ("DBEngineVersions", "DBEngineVersion"),
    ("DBClusters", "DBCluster"),
    ("DBSnapshots", "DBSnapshot"),
    ("SupportedCharacterSets", "CharacterSet"),
    ("ValidUpgradeTarget", "UpgradeTarget"),
    ("SupportedTimezones", "Timezone"),
    ("AvailabilityZones", "AvailabilityZone"),
    ("OrderableDBInstanceOptions", "OrderableDBInstanceOption"),
];

/// EC2 lists that keep their name in lower camel case; others have the singular with the suffix `Set`.
const EC2_PLAIN: &[&str] = &[
    "IpPermissions",
    "IpPermissionsEgress",
    "IpRanges",
    "Ipv6Ranges",
    "PrefixListIds",
];

/// Renders `<OpResponse><OpResult>…</OpResult><ResponseMetadata>…`.
pub fn query(service: &str, operation: &str, id: &str, output: &Value) -> String {
    let namespace = namespace(service);
    let mut out = format!("<{operation}Response xmlns=\"{namespace}\"><{operation}Result>");
    let elements = if service == "rds" { RDS_ELEMENTS } else { &[] };
    members(&mut out, output, &|list| {
        elements.iter().find(|(n, _)| *n == list).map_or("member", |(_, e)| e)
    });
    out.push_str(&format!(
        "</{operation}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    ));
    out
}

/// Renders `<ErrorResponse><Error>…`.
pub fn query_error(service: &str, id: &str, error: &AwsError) -> String {
    let side = if error.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
        namespace(service),
        escape(&error.code),
        escape(&error.message)
    )
}

/// Renders `<OpResponse><requestId>…` with EC2's element names.
pub fn ec2(operation: &str, id: &str, output: &Value) -> String {
    let mut out =
        format!("<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{id}</requestId>");
    ec2_members(&mut out, output, "");
    out.push_str(&format!("</{operation}Response>"));
    out
}

/// Renders `<Response><Errors><Error>…`.
pub fn ec2_error(id: &str, error: &AwsError) -> String {
    format!(
        "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>{id}</RequestID></Response>",
        escape(&error.code),
        escape(&error.message)
    )
}

fn namespace(service: &str) -> &'static str {
    NAMESPACES
        .iter()
        .find(|(n, _)| *n == service)
        .map_or("http://aws.amazon.com/", |(_, uri)| uri)
}

fn members(out: &mut String, value: &Value, element: &dyn Fn(&str) -> &'static str) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(_, v)| !v.is_null()) {
                out.push_str(&format!("<{name}>"));
                match value {
                    Value::Array(list) => {
                        let item = element(name);
                        for value in list {
                            out.push_str(&format!("<{item}>"));
                            members(out, value, element);
                            out.push_str(&format!("</{item}>"));
                        }
                    }
                    value => members(out, value, element),
                }
                out.push_str(&format!("</{name}>"));
            }
        }
        Value::Array(list) => list.iter().for_each(|value| members(out, value, element)),
        scalar => out.push_str(&text(scalar)),
    }
}

fn ec2_members(out: &mut String, value: &Value, parent: &str) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(_, v)| !v.is_null()) {
                let tag = ec2_tag(name, value.is_array(), parent);
                out.push_str(&format!("<{tag}>"));
                match value {
                    Value::Array(list) => {
                        for value in list {
                            out.push_str("<item>");
                            ec2_members(out, value, name);
                            out.push_str("</item>");
                        }
                    }
                    value => ec2_members(out, value, name),
                }
                out.push_str(&format!("</{tag}>"));
            }
        }
        Value::Array(list) => list.iter().for_each(|value| ec2_members(out, value, parent)),
        scalar => out.push_str(&text(scalar)),
    }
}

fn ec2_tag(name: &str, is_list: bool, parent: &str) -> String {
    let irregular = match (name, parent) {
        ("Description", "SecurityGroups") => Some("groupDescription"),
        ("State", "AvailabilityZones") => Some("zoneState"),
        ("Endpoint", "Regions") => Some("regionEndpoint"),
        ("SecurityGroups", "") => Some("securityGroupInfo"),
        ("AvailabilityZones", "") => Some("availabilityZoneInfo"),
        ("Regions", "") => Some("regionInfo"),
        ("UserIdGroupPairs", _) => Some("groups"),
        ("Addresses" | "PrivateIpAddresses" | "Ipv6Addresses", _) => {
            return format!("{}Set", lower_first(name));
        }
        ("DnsEntries", _) => Some("dnsEntrySet"),
        ("NatGatewayAddresses", _) => Some("natGatewayAddressSet"),
        _ => None,
    };
    if let Some(tag) = irregular {
        return tag.to_owned();
    }
    let plain = lower_first(name);
    if !is_list || EC2_PLAIN.contains(&name) || name.ends_with("Set") {
        return plain;
    }
    if let Some(stem) = plain.strip_suffix("xes") {
        return format!("{stem}xSet");
    }
    plain
        .strip_suffix('s')
        .map_or(plain.clone(), |singular| format!("{singular}Set"))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => escape(text),
        other => other.to_string(),
    }
}

/// Escapes text for XML; characters that XML 1.0 does not allow become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\n' | '\t' => out.push(c),
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn list_elements_have_the_names_of_the_service() {
        let rds = query(
            "rds",
            "DescribeDBInstances",
            "1",
            &json!({"DBInstances": [{"A": "x & y"}]}),
        );
        assert!(
            rds.contains("<DBInstances><DBInstance><A>x &amp; y</A></DBInstance></DBInstances>"),
            "{rds}"
        );
        let cfn = query(
            "cloudformation",
            "ListStacks",
            "1",
            &json!({"StackSummaries": [{"N": true, "Absent": null}]}),
        );
        assert!(
            cfn.contains("<StackSummaries><member><N>true</N></member></StackSummaries>"),
            "{cfn}"
        );
    }

    #[test]
    fn ec2_names_are_lower_camel_case_with_sets_and_exceptions() {
        let groups = json!({"SecurityGroups": [{"Description": "d", "Tags": [{"Key": "k"}], "IpPermissions": [{"UserIdGroupPairs": [{"GroupId": "g"}]}]}]});
        let out = ec2("DescribeSecurityGroups", "1", &groups);
        let expected = "<securityGroupInfo><item><groupDescription>d</groupDescription><tagSet><item><key>k</key></item></tagSet><ipPermissions><item><groups><item><groupId>g</groupId></item></groups></item></ipPermissions></item></securityGroupInfo>";
        assert!(out.contains(expected), "{out}");
        assert!(
            ec2("X", "1", &json!({"Addresses": [], "FlowLogs": []}))
                .contains("<addressesSet></addressesSet><flowLogSet>")
        );
    }
}
