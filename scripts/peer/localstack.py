#!/usr/bin/env python3
"""LocalStack's AWS-recorded CloudFormation tests against the embedded endpoint.

The result is one table: for each group the tests that exist, are skipped, lie out of the field or belong to the harness, and of those in
the field the ones that passed. The field follows from what a test called and from the types of its templates (plugins/localstack_field.py).
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TESTS = "tests/aws/services/cloudformation"
GROUPS = {
    "api": ["api"],
    "change_sets": ["test_change_set*.py"],
    "engine": ["engine"],
    "resource_providers": ["resource_providers"],
    "resources": ["resources"],
    "template_engine": ["test_template_engine.py"],
    "others": ["test_cloudtrail_trace.py", "test_list_stacks.py", "test_unsupported.py", "v2"],
}
# Files that are wholly about services out of the field; their tests wait long for what does not exist.
OUT = [
    "api/test_extensions_*.py", "resource_providers/opensearch", "resource_providers/scheduler",
    *(f"resources/test_{name}.py" for name in (
        "apigateway", "dynamodb", "elasticsearch", "events", "firehose", "integration", "kinesis", "lambda", "opensearch", "redshift",
        "resource_groups", "sam", "stack_sets", "stepfunctions",
    )),
]
# What the tests import beside localstack-core; the checkout's requirements-test.txt pins the versions.
PACKAGES = [
    "airspeed-ext", "antlr4-python3-runtime", "aws-cdk-lib", "aws-sam-translator", "crontab", "cryptography", "httpx[http2]", "jinja2",
    "json5", "jsonpath-ng", "localstack-snapshot", "moto-ext", "opensearch-py", "pluggy", "pytest", "pytest-httpserver",
    "pytest-rerunfailures", "pytest-split", "pytest-tinybird", "websocket-client",
]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/peer-tests localstack", description=__doc__)
    parser.add_argument("checkout", metavar="DIR", help="a checkout of localstack/localstack")
    parser.add_argument("groups", metavar="GROUP", nargs="*", help=f"default: all of {', '.join(GROUPS)}")
    parser.add_argument("--core", default="2026.3.0", help="version of localstack-core that fits the checkout (default: %(default)s)")
    parser.add_argument("--python", default="python3.13", help="Python 3.12 or later, which LocalStack needs (default: %(default)s)")
    parser.add_argument("--venv", type=pathlib.Path, help="virtual environment (default: one under target/peer)")
    parser.add_argument("--endpoint", type=pathlib.Path, help="binary of the example `endpoint` (default: build it)")
    parser.add_argument("--port", type=int, default=0, help="port of the endpoint on 127.0.0.1 (default: a free one)")
    parser.add_argument("--octet", type=int, default=79, help="second octet of the endpoint's addresses (default: %(default)s)")
    parser.add_argument("--select", metavar="EXPRESSION", help="pytest's -k")
    parser.add_argument("--list", type=pathlib.Path, metavar="FILE", help="write the ids of the failing tests of the field to FILE")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write one JSON line a test to FILE, with its calls and its failure")
    args = parser.parse_intermixed_args()
    if unknown := [group for group in args.groups if group not in GROUPS]:
        parser.error(f"unknown groups {unknown}: there are {list(GROUPS)}")
    args.checkout = pathlib.Path(args.checkout).resolve()
    if not (args.checkout / TESTS).is_dir():
        parser.error(f"{args.checkout} has no {TESTS}: it is not a checkout of localstack/localstack")
    return args


def virtual_environment(args, target):
    """Returns the interpreter of the virtual environment, made when it is missing."""
    venv = args.venv or target / "peer" / f"localstack-{args.core}"
    python = venv / "bin" / "python"
    if (venv / "complete").exists() or args.venv:
        return python
    if not shutil.which(args.python):
        sys.exit(f"{args.python} is not installed. LocalStack's tests need Python 3.12 or later: name one with --python.")
    subprocess.run([args.python, "-m", "venv", venv], check=True)
    # localstack-core pins boto3 itself, in a newer version.
    own = re.compile(r"(-e|localstack-core|boto3|botocore|awscli|s3transfer)\b")
    pins = [re.sub(r"\[.*?\]", "", line) for line in (args.checkout / "requirements-test.txt").read_text().splitlines() if not own.match(line)]
    (venv / "constraints.txt").write_text("\n".join(pins) + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", venv / "constraints.txt"]
    subprocess.run([*install, f"localstack-core[base-runtime]=={args.core}", *PACKAGES], check=True)
    (venv / "complete").touch()
    return python


def endpoint_binary(args, target):
    if args.endpoint:
        return args.endpoint
    build = ["cargo", "build", "--release", "--locked", "--workspace", "--example", "endpoint"]
    subprocess.run(build, cwd=ROOT, check=True)
    return target / "release" / "examples" / "endpoint"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_group(args, group, binary, python, scratch):
    """Runs the tests of one group against a new endpoint, and returns one record a test."""
    port = args.port or free_port()
    results = scratch / f"{group}.jsonl"
    results.touch()
    command = [binary, "--port", str(port), "--state-dir", scratch / group, "--loopback-octet", str(args.octet)]
    with open(scratch / f"{group}.endpoint.log", "w") as log:
        endpoint = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if endpoint.poll() is not None:
                sys.exit(f"The endpoint did not start: {scratch / group}.endpoint.log has the reason.")
            time.sleep(0.1)
        paths = [str(path) for pattern in GROUPS[group] for path in sorted((args.checkout / TESTS).glob(pattern))]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "PYTHONPATH": f"{HERE / 'plugins'}:{args.checkout}", "PEER_RESULTS": str(results), "PEER_PORT": str(port),
            "TEST_SKIP_LOCALSTACK_START": "1", "TEST_AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
            "DISABLE_EVENTS": "1",
        }
        ignored = [f"--ignore-glob={args.checkout / TESTS / path}" for path in OUT]
        command = [python, "-m", "pytest", *ignored, "-p", "localstack_field", "-p", "no:cacheprovider", "-q", "--tb=short", *paths]
        if args.select:
            command += ["-k", args.select]
        with open(scratch / f"{group}.pytest.log", "w") as log:
            subprocess.run(command, cwd=args.checkout, env=environment, stdout=log, stderr=log, check=False)
    finally:
        endpoint.send_signal(signal.SIGTERM)
        endpoint.wait()
    return [json.loads(line) for line in results.read_text().splitlines()]


def table(records):
    rows = []
    for group, tests in records.items():
        count = lambda *kinds: sum(test["kind"] in kinds for test in tests)
        rows.append([group, len(tests), count("skipped"), count("harness"), count("out"), count("passed", "failed"), count("passed")])
    rows.append(["sum", *(sum(row[column] for row in rows) for column in range(1, 7))])
    lines = ["| group | all | skipped | harness | out of field | in field | passed |", "|---|---|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])


def main():
    args = arguments()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
    python, binary = virtual_environment(args, target), endpoint_binary(args, target)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="peer-localstack."))
    records = {}
    for group in args.groups or GROUPS:
        records[group] = run_group(args, group, binary, python, scratch)
        print(f"{group}: {len(records[group])} tests", file=sys.stderr, flush=True)
    failed = [test for tests in records.values() for test in tests if test["kind"] == "failed"]
    print(table(records))
    print()
    for test in failed:
        print(f"{test['id']}\n    {test['failure'].splitlines()[0][:300] if test['failure'] else ''}")
    if args.list:
        args.list.write_text("".join(test["id"] + "\n" for test in failed))
    if args.report:
        args.report.write_text("".join(json.dumps({"group": group, **test}) + "\n" for group, tests in records.items() for test in tests))
    print(f"\nLogs: {scratch}", file=sys.stderr)


if __name__ == "__main__":
    main()
