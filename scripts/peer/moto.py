#!/usr/bin/env python3
"""Runs moto's own tests, unchanged, against the embedded endpoint.

usage: scripts/peer-tests moto DIR [SERVICE…] [--jobs N] [--out FOLDER] [--only PATTERN]

DIR is a checkout of https://github.com/getmoto/moto; SERVICE is `ec2`, `rds`, … (default: all that the endpoint has). `--only` is
pytest's `-k`. The example endpoint is built if PEER_ENDPOINT does not name one. Printed for each service: all tests; those that moto
itself skips; those out of the endpoint's field; those in it; those that pass; those that fail for an operation that the endpoint
lacks (missing), for what it refuses by name, for an answer that is wrong (fault), or for a habit of moto that AWS refuses. FOLDER (default:
target/peer/moto) gets `failing.txt`, one failing test a line with its kind, its last call and the first line of its error, and `calls.json`.

The field of a test follows from what it calls when it runs against moto itself (`calls.json`, made once): see `moto_field.py`.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from moto_field import FILES, artefact, out_of_field

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
PACKAGES = ["moto[all,server]==5.2.5", "pytest", "pytest-xdist", "pytest-order", "freezegun", "parameterized", "pyotp"]


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2])
    parser.add_argument("checkout", type=pathlib.Path)
    parser.add_argument("services", nargs="*", default=list(FILES))
    parser.add_argument("--jobs", default=str(os.cpu_count()))
    parser.add_argument("--out", type=pathlib.Path, default=root / "target/peer/moto")
    parser.add_argument("--only")
    found = parser.parse_intermixed_args()
    found.services = [service.removeprefix("test_") for service in found.services]
    return found


def endpoint():
    """Returns the path of the example endpoint, built now unless PEER_ENDPOINT names one."""
    if path := os.environ.get("PEER_ENDPOINT"):
        return pathlib.Path(path).resolve()
    build = ["cargo", "build", "--release", "--locked", "--workspace", "--example", "endpoint"]
    subprocess.run(build, cwd=root, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "release/examples/endpoint"


def files(checkout, services):
    """Returns the test files of services, by service."""
    return {service: sorted(str(path.relative_to(checkout)) for pattern in FILES[service]
                            for path in (checkout / f"tests/test_{service}").glob(pattern)) for service in services}


def run(args, paths, log, program=None):
    """Runs the tests and returns what the plugin noted, by test."""
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir(parents=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PEER_", "TEST_SERVER_MODE"))}
    environment |= {
        "PEER_LOG": str(log.resolve()), "PYTHONPATH": str(here / "plugins"), "PYTHONSAFEPATH": "1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "2", "AWS_EC2_METADATA_DISABLED": "true", "TESTS_SKIP_REQUIRES_DOCKER": "true",
    }
    environment |= {key: os.environ[key] for key in ("PEER_PORT",) if key in os.environ}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "endpoint_peer", "-p", "no:cacheprovider", "--no-header", "--tb=line", "-n", args.jobs]
    if program:
        environment |= {"PEER_ENDPOINT": str(program), "PEER_REGIONS": str((args.out / "regions.json").resolve())}
        command += ["-k", args.only] if args.only else []
    with open(log / "pytest.log", "wb") as output:
        subprocess.run([*command, *paths], cwd=args.checkout, env=environment, stdout=output, stderr=subprocess.STDOUT)
    if errors := [line for line in (log / "pytest.log").read_text(errors="replace").splitlines() if "ERROR collecting" in line]:
        sys.exit("pytest could not load all tests:\n" + "\n".join(errors[:5]))
    return {test["id"]: test for path in log.glob("*.jsonl") for test in map(json.loads, path.read_text().splitlines())}


def main():
    args = arguments()
    if sys.prefix == sys.base_prefix:  # not in a virtual environment
        sys.exit(subprocess.run([root / "scripts/python", *PACKAGES, "--", "python", __file__, *sys.argv[1:]]).returncode)
    chosen = files(args.checkout, args.services)
    program = endpoint()
    args.out.mkdir(parents=True, exist_ok=True)
    known_file = args.out / "calls.json"
    known = json.loads(known_file.read_text()) if known_file.exists() else {}
    for service in [service for service in chosen if service not in known]:
        print(f"the calls of {service}'s tests, against moto itself …", file=sys.stderr, flush=True)
        known[service] = run(args, chosen[service], args.out / "calls")
        known_file.write_text(json.dumps(known))

    # The endpoint starts with the region of most calls of the test.
    regions = {test["id"]: collections.Counter(call["region"] for call in test["calls"]).most_common(1)[0][0]
               for service in chosen for test in known[service].values() if test["calls"]}
    (args.out / "regions.json").write_text(json.dumps(regions))
    results = run(args, [path for paths in chosen.values() for path in paths], args.out / "log", program)
    print(f"{'service':26}{'all':>6}{'skipped':>9}{'out of field':>14}{'in field':>10}{'passed':>8}   failing: missing, refused, fault, moto's own")
    sums, failing = collections.Counter(), []
    for service in chosen:
        row = collections.Counter()
        for test in (test for test in results.values() if test["id"].startswith(f"tests/test_{service}/")):
            usual = known[service].get(test["id"], test)
            row["all"] += 1
            if "skipped" in (test["outcome"], usual["outcome"]):
                row["skipped"] += 1
            elif reason := out_of_field(test["id"], usual["calls"] + test["calls"]):
                row["out"] += 1
                failing.append(f"{test['id']}\tout of field\t{reason}\t")
            elif test["outcome"] == "passed":
                row["in"] += 1
                row["passed"] += 1
            else:
                row["in"] += 1
                missing = next((call for call in test["calls"] if call.get("status") == 501), None)
                last = missing or (test["calls"] or [{}])[-1]
                own = artefact(test)
                refused = re.search("embedded endpoint (?:does|supports|can|has|forwards|scales)", test["reason"], re.I)
                kind = f"moto's own: {own}" if own else "missing" if missing else "refused" if refused else "fault"
                row[kind.split(":")[0]] += 1
                failing.append(f"{test['id']}\t{kind}\t{last.get('service')}:{last.get('operation')}\t{test['reason']}")
        sums += row
        show(service, row)
    show("sum", sums)
    (args.out / "failing.txt").write_text("\n".join(sorted(failing)) + "\n")


def show(name, row):
    kinds = ', '.join(str(row[kind]) for kind in ("missing", "refused", "fault", "moto's own"))
    print(f"{name:26}{row['all']:>6}{row['skipped']:>9}{row['out']:>14}{row['in']:>10}{row['passed']:>8}   {kinds}", flush=True)


if __name__ == "__main__":
    main()
