"""The field of moto's tests: a platform of VPC, RDS, MSK, ECS and load balancers, with what belongs to it."""
import re

# test files by service; the others are about instances, volumes, VPNs, Aurora and the like from their first line to their last
FILES = {
    "ec2": [f"test_{name}.py" for name in (
        "account_attributes", "availability_zones_and_regions", "dhcp_options", "egress_only_igw", "elastic_ip_addresses", "elastic_network_interfaces",
        "flow_logs*", "general", "internet_gateways", "nat_gateway", "network_acls", "prefix_lists", "regions", "route_tables", "security_groups*",
        "subnets", "tags", "vpc_endpoint_services_integration", "vpc_peering", "vpc_service_configuration_integration", "vpcs")],
    **{service: ["test_*.py"] for service in (
        "elbv2", "rds", "kafka", "kms", "iam", "ecs", "ecr", "logs", "secretsmanager", "ssm", "sns", "servicediscovery", "cloudwatch",
        "applicationautoscaling", "sts", "cloudformation")},
}
# boto3's names
SERVICES = {
    "ec2", "elbv2", "rds", "kafka", "kms", "iam", "ecs", "ecr", "logs", "secretsmanager", "ssm", "sns", "servicediscovery", "cloudwatch",
    "application-autoscaling", "sts", "cloudformation", "s3", "service-quotas", "sesv2",
}
# families of operations outside the field
OPERATIONS = {
    "ec2": r"Instance(?!Tenancy)|Image|Volume|^\w+Snapshot|Spot|Fleet|Host|KeyPair|LaunchTemplate|TransitGateway|Vpn|CustomerGateway|Carrier"
           r"|TrafficMirror|Reserved|AttachNetworkInterface|DetachNetworkInterface|ClassicLink|VpcEndpointServiceConfiguration"
           r"|VpcEndpointServicePermissions|Ipam",
    "rds": r"DBCluster|GlobalCluster|DBProxy|DBShardGroup|ExportTask|BlueGreen|Integration|CustomDBEngine",
    "iam": r"MFA|SAML|OpenIDConnect|LoginProfile|SSHPublicKey|SigningCertificate|ServerCertificate|AccountAlias|PasswordPolicy|CredentialReport"
           r"|ServiceSpecific|User|Group|AccessKey|AccountSummary|AccountAuthorizationDetails|Organizations|ServiceLastAccessed|Delegat"
           r"|^ChangePassword|OutboundWeb",
    "ssm": r"Document|Patch|MaintenanceWindow|Command|Association|Inventory|Session|Automation|ServiceSetting|InstanceInformation|Activation|OpsItem",
    "ecs": r"ContainerInstance|Attributes|ExpressGateway|CapacityProvider$|CapacityProviders$(?<!PutClusterCapacityProviders)|StartTask",
    "sns": r"Platform|Endpoint|SMS|PhoneNumber|OptIn|Sandbox",
    "cloudwatch": r"Anomaly|InsightRule|MetricStream|Widget|Managed",
    "cloudformation": r"StackSet|StackInstance|GeneratedTemplate|TypeConfig|RegisterType|Publisher|StackRefactor",
    "sts": r"SAML|WebIdentity|FederationToken|DecodeAuthorization",
    "logs": r"Deliver|Anomaly|Transformer|Integration|ExportTask|Query|LiveTail|Account|DataProtection|Index",
    "application-autoscaling": r"Forecast",
}
# of resource types
TYPE_SERVICES = {
    "CloudFormation", "EC2", "ECS", "ECR", "ElasticLoadBalancingV2", "RDS", "MSK", "KMS", "IAM", "Logs", "SecretsManager", "SSM", "SNS",
    "ServiceDiscovery", "CloudWatch", "ApplicationAutoScaling", "S3", "CDK", "Include",
}
TYPES_OUTSIDE = re.compile(
    r"EC2::(?:Instance|Image|Volume|Spot|Fleet|Host|KeyPair|LaunchTemplate|TransitGateway|VPN|Customer|Carrier)|RDS::DBCluster|IAM::(?:User|Group|AccessKey)"
    r"|CloudFormation::(?:StackSet|CustomResource|Macro|Init)|SSM::(?:Document|Patch|Maintenance)|Serverless|^Custom::")

# Names and habits of moto that AWS refuses or does not have, by the first line of a failure.
ARTEFACTS = [
    ("an account that is not the endpoint's", r"123456789012|012345678912|1111111111|222222222222"),
    ("a stack's name that AWS refuses", r"at 'stackName' failed|stackName.*(?:alphanumeric|pattern|regular)|\[a-zA-Z\]\[-a-zA-Z0-9\]"),
    ("a database's name with `-`", r"DBName must begin with a letter"),
    ("subnet groups and clusters of one zone", r"Availability Zone \(AZ\) coverage|two or three client subnets"),
    ("a key policy that is no JSON document", r"MalformedPolicyDocument|The policy has no statements"),
    ("Verify answers false; AWS fails", r"KMSInvalidSignatureException"),
    ("a digest of another length than the algorithm's", r"Digest is invalid length"),
    ("ValidationException where AWS says InvalidKeyUsageException", r"InvalidKeyUsageException' == 'ValidationException"),
    ("a key is changed while it waits for its deletion", r"KMSInvalidStateException"),
    ("an IPv6 block that is not Amazon's or the VPC's own", r"2001:db8|2602::"),
    ("enumerations in another case", r"Value (?:\(|')(?:interface|gateway|ALLOW|DENY|Accept|Reject|xyz|our|HHTP 301|other|nat-gateway)?(?:\) for parameter|' at)"),
    ("a NAT gateway or a route without an attached internet gateway", r"Gateway\.NotAttached|is not attached to the VPC"),
    ("VPCs, subnets and groups that do not exist", r"The (?:vpc|subnet) ID '(?:vpc|subnet)-[0-9a-f]{4,17}' does not exist|The security group '[0-9a-f-]{36}'"),
    ("addresses outside the subnet", r"does not fall within the subnet's address range"),
    ("port ranges that end before they start", r"Invalid TCP/UDP port range"),
    ("the address family `?`", r"AddressFamily"),
    ("resources of another region than the call's", r"\((?:us-west-2a|us-east-1a)\) for parameter availabilityZone|Endpoint Service 'com.amazonaws.us-east-1"),
    ("EC2-Classic", r"\((?:standard)?\) for parameter Domain|for parameter PublicIp is invalid|DBSecurityGroup"),
]


def out_of_field(test, calls):
    """Returns what puts a test out of the field, or None."""
    for call in calls:
        service, operation = call["service"], call["operation"]
        if service not in SERVICES:
            return service
        if service in OPERATIONS and re.search(OPERATIONS[service], operation):
            return f"{service}:{operation}"
        for name in call["types"]:
            if TYPES_OUTSIDE.search(name) or name.split("::")[1] not in TYPE_SERVICES:
                return name
    return None


def artefact(test):
    """Returns the name of the habit of moto that a failing test depends on, or None."""
    return next((name for name, pattern in ARTEFACTS if re.search(pattern, test["reason"])), None)
