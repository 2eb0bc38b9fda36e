"""pytest plugin: writes one JSON line a test to PEER_RESULTS, with its place relative to the field and its failure.

The field is a VPC/RDS/MSK/ECS/ALB platform. A test lies out of it when it calls a service or declares a resource type of another kind;
both are taken from the calls that its clients make, in this process.
"""
import json
import os
import re

import botocore.client
import botocore.waiter
import pytest

# Services of the field by their names in botocore.
SERVICES = {
    "application-autoscaling", "cloudformation", "cloudwatch", "ec2", "ecr", "ecs", "elbv2", "iam", "kafka", "kms", "logs", "rds", "s3",
    "secretsmanager", "servicediscovery", "sns", "ssm", "sts",
}
# Resource types of the field by their service; the rest of a service may be excluded below.
TYPES = {
    "ApplicationAutoScaling", "CDK", "CloudFormation", "CloudWatch", "EC2", "ECR", "ECS", "ElasticLoadBalancingV2", "IAM", "KMS", "Logs",
    "MSK", "RDS", "Route53", "S3", "SNS", "SSM", "SecretsManager", "ServiceDiscovery",
}
# EC2 instances, transit gateways, IAM's users and groups, SSM documents and maintenance, macros, stack sets, registry, custom resources
EXCLUDED_TYPES = re.compile(
    r"AWS::(EC2::(Instance|KeyPair|LaunchTemplate|TransitGateway\w*|Volume\w*|SpotFleet|EC2Fleet|Host)"
    r"|IAM::(User\w*|Group|AccessKey|SAMLProvider|OIDCProvider|VirtualMFADevice|ServerCertificate)"
    r"|SSM::(Document|MaintenanceWindow\w*|PatchBaseline|Association|ResourceDataSync)"
    r"|CloudFormation::(Macro|StackSet|CustomResource|Resource\w+|Module\w+|Hook\w+|PublicTypeVersion|Publisher|TypeActivation))$"
)
# Operations of CloudFormation on extensions and stack sets
EXCLUDED_OPERATIONS = re.compile(r"\w*(StackSet|StackInstance|Extension|Type|TypeVersion|TypeRegistration|TypeConfigurations|GeneratedTemplate)s?$")
# Fixtures of a second account or of LocalStack's own internals
HARNESS_FIXTURES = {"secondary_aws_client", "secondary_account_id", "secondary_aws_client_factory"}
DECLARED = re.compile(r"""["']?Type["']?\s*:\s*["']?((?:AWS|Alexa|Custom)::[\w:<>]+)""")
TRANSFORMS = re.compile(r"AWS::Serverless|Fn::Transform[\"']?\s*:\s*\{?\s*[\"']?Name[\"']?\s*:\s*[\"']?(?!AWS::Include)\w+")

calls, types = [], set()


def declared_types(text):
    """Returns the resource types in a template's text; a parameter's type has one name more, or is a list."""
    found = {name for name in DECLARED.findall(text) if "<" not in name}
    return {name for name in found if name.startswith("Custom::") or not name.endswith(("::Id", "::Name", "::Value", "::GroupName"))}


def reasons_out():
    out = {f"service {service}" for service, _ in calls if service not in SERVICES}
    out |= {f"operation {name}" for service, name in calls if service == "cloudformation" and EXCLUDED_OPERATIONS.match(name)}
    for name in types:
        parts = name.split("::")
        if parts[0] != "AWS" or parts[1] not in TYPES or EXCLUDED_TYPES.match(name):
            out.add(f"type {name}")
    return sorted(out)


def record_call(client, operation, parameters):
    calls.append((client.meta.service_model.service_name, operation))
    for member in ("TemplateBody", "Body"):
        text = parameters.get(member)
        if hasattr(text, "seek"):
            text, _ = text.read(), text.seek(0)
        text = text.decode(errors="ignore") if isinstance(text, bytes) else text
        if isinstance(text, str):
            types.update(declared_types(text))
            if member == "TemplateBody" and TRANSFORMS.search(text):
                types.add("AWS::Serverless or macro")


make_call = botocore.client.BaseClient._make_api_call


def make_recorded_call(self, operation_name, api_params):
    record_call(self, operation_name, api_params or {})
    return make_call(self, operation_name, api_params)


botocore.client.BaseClient._make_api_call = make_recorded_call

# botocore's waiters look every 5 to 30 s, for AWS' sake; here a stack is ready in milliseconds.
wait = botocore.waiter.Waiter.wait


def wait_eagerly(self, **kwargs):
    options = kwargs.setdefault("WaiterConfig", {})
    seconds = options.get("Delay", self.config.delay) * options.get("MaxAttempts", self.config.max_attempts)
    options.update(Delay=0.25, MaxAttempts=int(min(seconds, 120) * 4))
    return wait(self, **kwargs)


botocore.waiter.Waiter.wait = wait_eagerly


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    from localstack import config as localstack_config

    here = localstack_config.HostAndPort(host="127.0.0.1", port=int(os.environ["PEER_PORT"]))
    localstack_config.GATEWAY_LISTEN = localstack_config.UniqueHostAndPortList([here])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    calls.clear()
    types.clear()


outcomes = {}


def failure(raised):
    """Returns the message of an exception; of a snapshot that differs, the differences."""
    differing = [match for match in getattr(raised.value, "result", None) or [] if not match]
    if differing:
        return "\n".join(f"{match.key}: {line}" for match in differing for line in repr(match).splitlines())
    return raised.exconly() or "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    seen = outcomes.setdefault(item.nodeid, {"failure": None, "skipped": None})
    if report.skipped:
        seen["skipped"] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", ""))
    elif report.failed and call.when != "teardown" and seen["failure"] is None:
        seen["failure"] = failure(call.excinfo)
    if call.when == "teardown":
        record(item, outcomes.pop(item.nodeid))
    return report


def record(item, seen):
    out = reasons_out()
    harness = item.get_closest_marker("aws_only_localstack") or HARNESS_FIXTURES & set(item.fixturenames)
    if seen["skipped"] is not None:
        kind = "skipped"
    elif out:
        kind = "out"
    elif harness:
        kind = "harness"
    else:
        kind = "failed" if seen["failure"] else "passed"
    line = {
        "id": item.nodeid, "kind": kind, "passed": not seen["failure"], "skipped": seen["skipped"], "out": out,
        "calls": sorted({f"{service}:{operation}" for service, operation in calls}), "types": sorted(types), "failure": seen["failure"],
    }
    with open(os.environ["PEER_RESULTS"], "a") as results:
        results.write(json.dumps(line) + "\n")
