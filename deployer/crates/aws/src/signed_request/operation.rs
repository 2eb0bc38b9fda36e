//! The operations that are called without an SDK.

/// An operation of a service, and its protocol.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The signing name, which is also the first part of the host name.
    pub service: &'static str,
    /// The name of the action, as in `Action` or `X-Amz-Target`.
    pub name: &'static str,
    pub(super) protocol: Protocol,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    /// AWS query protocol, with the version of the API.
    Query(&'static str),
    /// AWS query protocol of EC2, with the version of the API: lists are flat, and there is no element around the result.
    Ec2(&'static str),
    /// REST with XML: a GET of this path and the `Id` of the input, which has no character that a path escapes.
    Rest(&'static str),
    /// AWS JSON 1.1, with the prefix of the operation in `X-Amz-Target`.
    Json(&'static str),
}

impl Operation {
    /// Returns its IAM action. CloudWatch signs as `monitoring`.
    pub fn action(&self) -> String {
        let prefix = match self.service {
            "monitoring" => "cloudwatch",
            service => service,
        };
        format!("{prefix}:{}", self.name)
    }
}

/// `DescribeAccountAttributes` of RDS.
pub const DESCRIBE_DB_ACCOUNT_ATTRIBUTES: Operation = Operation {
    service: "rds",
    name: "DescribeAccountAttributes",
    protocol: Protocol::Query("2014-10-31"),
};
/// `DescribeDBSnapshots` of RDS.
pub const DESCRIBE_DB_SNAPSHOTS: Operation = Operation {
    service: "rds",
    name: "DescribeDBSnapshots",
    protocol: Protocol::Query("2014-10-31"),
};
/// `DescribeOrderableDBInstanceOptions` of RDS.
pub const DESCRIBE_ORDERABLE_DB_INSTANCE_OPTIONS: Operation = Operation {
    service: "rds",
    name: "DescribeOrderableDBInstanceOptions",
    protocol: Protocol::Query("2014-10-31"),
};
/// `ListSecrets` of Secrets Manager.
pub const LIST_SECRETS: Operation = Operation {
    service: "secretsmanager",
    name: "ListSecrets",
    protocol: Protocol::Json("secretsmanager"),
};
/// `DescribeKey` of KMS.
pub const DESCRIBE_KEY: Operation = Operation {
    service: "kms",
    name: "DescribeKey",
    protocol: Protocol::Json("TrentService"),
};
/// `DescribeCertificate` of ACM.
pub const DESCRIBE_CERTIFICATE: Operation = Operation {
    service: "acm",
    name: "DescribeCertificate",
    protocol: Protocol::Json("CertificateManager"),
};
/// `GetRole` of IAM.
pub const GET_ROLE: Operation = Operation {
    service: "iam",
    name: "GetRole",
    protocol: Protocol::Query("2010-05-08"),
};
/// `CreateServiceLinkedRole` of IAM.
pub const CREATE_SERVICE_LINKED_ROLE: Operation = Operation {
    service: "iam",
    name: "CreateServiceLinkedRole",
    protocol: Protocol::Query("2010-05-08"),
};
/// `GetServiceQuota` of Service Quotas: the quota of this account.
pub const GET_SERVICE_QUOTA: Operation = Operation {
    service: "servicequotas",
    name: "GetServiceQuota",
    protocol: Protocol::Json("ServiceQuotasV20190624"),
};
/// `GetAWSDefaultServiceQuota` of Service Quotas: the quota of an account that requested no other.
pub const GET_AWS_DEFAULT_SERVICE_QUOTA: Operation = Operation {
    service: "servicequotas",
    name: "GetAWSDefaultServiceQuota",
    protocol: Protocol::Json("ServiceQuotasV20190624"),
};
/// `GetMetricStatistics` of CloudWatch.
pub const GET_METRIC_STATISTICS: Operation = Operation {
    service: "monitoring",
    name: "GetMetricStatistics",
    protocol: Protocol::Query("2010-08-01"),
};
/// `DescribeDBInstances` of RDS.
pub const DESCRIBE_DB_INSTANCES: Operation = Operation {
    service: "rds",
    name: "DescribeDBInstances",
    protocol: Protocol::Query("2014-10-31"),
};
/// `ModifyDBInstance` of RDS.
pub const MODIFY_DB_INSTANCE: Operation = Operation {
    service: "rds",
    name: "ModifyDBInstance",
    protocol: Protocol::Query("2014-10-31"),
};
/// `DescribeSecret` of Secrets Manager.
pub const DESCRIBE_SECRET: Operation = Operation {
    service: "secretsmanager",
    name: "DescribeSecret",
    protocol: Protocol::Json("secretsmanager"),
};
/// `ListSecretVersionIds` of Secrets Manager.
pub const LIST_SECRET_VERSION_IDS: Operation = Operation {
    service: "secretsmanager",
    name: "ListSecretVersionIds",
    protocol: Protocol::Json("secretsmanager"),
};

/// `GetHostedZone` of Route 53.
pub const GET_HOSTED_ZONE: Operation = Operation {
    service: "route53",
    name: "GetHostedZone",
    protocol: Protocol::Rest("2013-04-01/hostedzone/"),
};

const fn ec2(name: &'static str) -> Operation {
    Operation {
        service: "ec2",
        name,
        protocol: Protocol::Ec2("2016-11-15"),
    }
}

/// `DescribeAddresses` of EC2.
pub const DESCRIBE_ADDRESSES: Operation = ec2("DescribeAddresses");
/// `DescribeAvailabilityZones` of EC2.
pub const DESCRIBE_AVAILABILITY_ZONES: Operation = ec2("DescribeAvailabilityZones");
/// `DescribeNatGateways` of EC2.
pub const DESCRIBE_NAT_GATEWAYS: Operation = ec2("DescribeNatGateways");
/// `DescribeNetworkInterfaces` of EC2.
pub const DESCRIBE_NETWORK_INTERFACES: Operation = ec2("DescribeNetworkInterfaces");
/// `DescribeRouteTables` of EC2.
pub const DESCRIBE_ROUTE_TABLES: Operation = ec2("DescribeRouteTables");
/// `DescribeSecurityGroupRules` of EC2.
pub const DESCRIBE_SECURITY_GROUP_RULES: Operation = ec2("DescribeSecurityGroupRules");
/// `DescribeSecurityGroups` of EC2.
pub const DESCRIBE_SECURITY_GROUPS: Operation = ec2("DescribeSecurityGroups");
/// `DescribeSubnets` of EC2.
pub const DESCRIBE_SUBNETS: Operation = ec2("DescribeSubnets");
/// `DescribeVpcAttribute` of EC2.
pub const DESCRIBE_VPC_ATTRIBUTE: Operation = ec2("DescribeVpcAttribute");
/// `DescribeVpcEndpoints` of EC2.
pub const DESCRIBE_VPC_ENDPOINTS: Operation = ec2("DescribeVpcEndpoints");
/// `DescribeVpcs` of EC2.
pub const DESCRIBE_VPCS: Operation = ec2("DescribeVpcs");
/// `DeleteNetworkInterface` of EC2.
pub const DELETE_NETWORK_INTERFACE: Operation = ec2("DeleteNetworkInterface");

/// All operations that are called; the deployer's own permissions are derived from them.
pub const OPERATIONS: &[Operation] = &[
    DESCRIBE_DB_ACCOUNT_ATTRIBUTES,
    DESCRIBE_DB_SNAPSHOTS,
    DESCRIBE_ORDERABLE_DB_INSTANCE_OPTIONS,
    LIST_SECRETS,
    DESCRIBE_KEY,
    DESCRIBE_CERTIFICATE,
    GET_ROLE,
    CREATE_SERVICE_LINKED_ROLE,
    GET_SERVICE_QUOTA,
    GET_AWS_DEFAULT_SERVICE_QUOTA,
    GET_METRIC_STATISTICS,
    DESCRIBE_DB_INSTANCES,
    MODIFY_DB_INSTANCE,
    DESCRIBE_SECRET,
    LIST_SECRET_VERSION_IDS,
    GET_HOSTED_ZONE,
    DESCRIBE_ADDRESSES,
    DESCRIBE_AVAILABILITY_ZONES,
    DESCRIBE_NAT_GATEWAYS,
    DESCRIBE_NETWORK_INTERFACES,
    DESCRIBE_ROUTE_TABLES,
    DESCRIBE_SECURITY_GROUP_RULES,
    DESCRIBE_SECURITY_GROUPS,
    DESCRIBE_SUBNETS,
    DESCRIBE_VPC_ATTRIBUTE,
    DESCRIBE_VPC_ENDPOINTS,
    DESCRIBE_VPCS,
    DELETE_NETWORK_INTERFACE,
];
