"""A pytest plugin: moto's tests against a fresh embedded endpoint each, with a log of the calls that each test makes.

PEER_LOG is the folder of the log, one file for each process. With PEER_ENDPOINT, the path of the endpoint's program, the tests run in
moto's server mode; without it, against moto itself, which shows the calls that a test makes when nothing fails.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

ACCOUNT = "000000000000"
TIMEOUT = 90
PROGRAM = os.environ.get("PEER_ENDPOINT")
# gw0, gw1, … of pytest-xdist
WORKER = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
PORT = int(os.environ.get("PEER_PORT", "4700")) + WORKER

if PROGRAM:
    os.environ["TEST_SERVER_MODE"] = "true"
    os.environ["TEST_SERVER_MODE_ENDPOINT"] = f"http://127.0.0.1:{PORT}"

import moto.core  # noqa: E402
import moto.core.models  # noqa: E402
from botocore.handlers import BUILTIN_HANDLERS  # noqa: E402

# the region of each test, which becomes the endpoint's
REGIONS = json.loads(pathlib.Path(os.environ["PEER_REGIONS"]).read_text()) if PROGRAM else {}
calls = []


def called(model, params, request_signer, **_):
    """Notes the operation before it is sent, with the region and the resource types of a template."""
    body = params.get("body")
    text = " ".join(str(body.get(key, "")) for key in ("TemplateBody", "TemplateURL")) if isinstance(body, dict) else ""
    types = sorted(set(re.findall(r"AWS::\w+::\w+(?:::\w+)?|Custom::\w+|AWS::(?:Include|Serverless)[\w-]*", text)))
    region = request_signer.region_name
    calls.append({"service": model.service_model.service_name, "operation": model.name, "region": region, "types": types})


def answered(http_response, parsed, model, **_):
    """Adds the answer to the call, which is the last of its operation."""
    for call in reversed(calls):
        if call["operation"] == model.name and "status" not in call:
            call["status"] = http_response.status_code
            call["error"] = parsed.get("Error", {}).get("Code", "")
            return


BUILTIN_HANDLERS.extend([("before-call", called), ("after-call", answered)])


class Endpoint:
    """An endpoint process of a region with an empty state folder."""

    def __init__(self, region):
        self.region = region
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="peer"))
        self.log = open(self.folder / "log", "wb")
        arguments = ["--port", str(PORT), "--state-dir", str(self.folder / "state"), "--loopback-octet", str(100 + WORKER), "--region", region]
        self.process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        # The port is open when the endpoint has named itself; the socket queues what comes before it serves.
        while not (self.folder / "state/endpoint.pid").exists():
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.005)

    def stop(self):
        # A database, a broker or a task must be stopped by the endpoint; otherwise a kill is quicker.
        state = self.folder / "state"
        has_processes = any((state / name).is_dir() and any((state / name).iterdir()) for name in ("rds", "kafka", "tasks"))
        self.process.send_signal(signal.SIGTERM if has_processes else signal.SIGKILL)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class State:
    endpoint = None
    # of the test that runs
    region = "us-east-1"
    # the number of calls of the test when the endpoint was started
    calls = 0


def reset(_self=None):
    """Takes the place of moto's `POST /moto-api/reset`."""
    if State.endpoint:
        if State.endpoint.region == State.region and len(calls) == State.calls:
            return
        State.endpoint.stop()
    State.endpoint = Endpoint(State.region)
    State.calls = len(calls)


if PROGRAM:
    # The account of the endpoint; the tests read the constant.
    moto.core.DEFAULT_ACCOUNT_ID = moto.core.models.DEFAULT_ACCOUNT_ID = ACCOUNT
    moto.core.models.ServerModeMockAWS.reset = reset


def expired(_number, _frame):
    raise TimeoutError(f"the test took longer than {TIMEOUT} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    State.calls = State.calls - len(calls)  # below zero: the endpoint has seen calls
    calls.clear()
    item.peer = {"id": item.nodeid, "outcome": "passed", "reason": ""}
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(TIMEOUT)
    if PROGRAM:
        State.region = REGIONS.get(item.nodeid, "us-east-1")
        reset()
    try:
        return (yield)
    finally:
        signal.alarm(0)
        with open(pathlib.Path(os.environ["PEER_LOG"]) / f"{os.getpid()}.jsonl", "a") as log:
            log.write(json.dumps({**item.peer, "calls": calls}) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.outcome != "passed" and item.peer["outcome"] == "passed":
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        item.peer.update(outcome=report.outcome, reason=text.strip().split("\n")[0][:300])
    return report


def pytest_sessionfinish():
    if State.endpoint:
        State.endpoint.stop()
