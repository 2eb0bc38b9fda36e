//! Kills the endpoint after each durable write of an operation, starts it again, and checks that nothing is orphaned, no name is blocked, and
//! the stack can be left.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use embedded_endpoint::behavior::Behavior;
use embedded_endpoint::{Config, server};
use serde_json::{Value, json};

/// Marks the process that serves: a run of this test binary.
const SERVE: &str = "CRASH_POINTS_SERVE";
const DEADLINE: Duration = Duration::from_mins(1);
const STACK: &str = "crash";

/// Serves the endpoint in a process that the other tests start; otherwise does nothing.
#[test]
fn endpoint_process() {
    let Ok(options) = std::env::var(SERVE) else { return };
    let options: Value = serde_json::from_str(&options).unwrap();
    let number = |name: &str| options[name].as_u64();
    let config = Config {
        port: u16::try_from(number("port").unwrap()).unwrap(),
        state_dir: options["state_dir"].as_str().unwrap().into(),
        loopback_octet: 99,
        region: "us-east-1".into(),
        broker: None,
        behavior: Behavior {
            crash_after_commits: number("crash_after"),
            ..Behavior::default()
        },
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(server::run(config)).unwrap();
}

struct Endpoint {
    process: Child,
    port: u16,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Endpoint {
    fn start(state_dir: &Path, crash_after: Option<u64>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = json!({"port": port, "state_dir": state_dir, "crash_after": crash_after});
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash_points::endpoint_process", "--nocapture"])
            .env(SERVE, options.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut endpoint = Self { process, port };
        let started = Instant::now();
        while endpoint.request("GET", "/_localstack/health", &[], "").is_none() {
            assert!(started.elapsed() < DEADLINE, "the endpoint does not start");
            if endpoint.process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        endpoint
    }

    /// Returns status and body; `None` if the endpoint has ended.
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Option<(u16, String)> {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let form = "application/x-www-form-urlencoded";
        self.request("POST", "/", &[("authorization", &scope), ("content-type", form)], &body)
    }

    fn json(&self, target: &str, service: &str, input: &Value) -> Value {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
        let headers = [
            ("authorization", scope.as_str()),
            ("x-amz-target", target),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        let (_, body) = self.request("POST", "/", &headers, &input.to_string()).unwrap();
        serde_json::from_str(&body).unwrap()
    }

    fn cloudformation(&self, action: &str, parameters: &[(&str, &str)]) -> Option<(u16, String)> {
        let all = [&[("Action", action), ("Version", "2010-05-15")], parameters].concat();
        self.query("cloudformation", &all)
    }

    /// Waits until no operation runs on the stack, and returns its status; `None` if there is no stack of this name, or the endpoint has
    /// ended.
    fn settled(&mut self) -> Option<String> {
        let started = Instant::now();
        loop {
            let Some((_, body)) = self.cloudformation("DescribeStacks", &[("StackName", STACK)]) else {
                self.process.wait().unwrap();
                return None;
            };
            let (_, rest) = body.split_once("<StackStatus>")?;
            let status = rest.split_once('<')?.0.to_owned();
            if !status.ends_with("_IN_PROGRESS") || status == "REVIEW_IN_PROGRESS" {
                return Some(status);
            }
            assert!(started.elapsed() < DEADLINE, "the operation does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the reasons in the stack's events, newest first.
    fn reasons(&self) -> Vec<String> {
        let events = self.cloudformation("DescribeStackEvents", &[("StackName", STACK)]);
        let (_, body) = events.unwrap_or_default();
        let reasons = body.split("<ResourceStatusReason>").skip(1);
        let reasons = reasons.filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()));
        reasons.filter(|reason| !reason.ends_with("Initiated")).collect()
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Returns the number of things of each kind that exist.
    fn inventory(&self) -> BTreeMap<&'static str, usize> {
        let ec2 = |action: &str| {
            let (_, body) = self
                .query("ec2", &[("Action", action), ("Version", "2016-11-15")])
                .unwrap();
            // Released and deleted things are described for a while.
            body.matches("<item>").count() - body.matches("<state>deleted</state>").count()
        };
        let count = |target: &str, service: &str, list: &str| {
            let found = self.json(target, service, &json!({}));
            found[list]
                .as_array()
                .map_or_else(|| panic!("{target}: {found}"), Vec::len)
        };
        BTreeMap::from([
            ("vpcs", ec2("DescribeVpcs")),
            ("subnets", ec2("DescribeSubnets")),
            ("gateways", ec2("DescribeInternetGateways")),
            ("addresses", ec2("DescribeAddresses")),
            ("security groups", ec2("DescribeSecurityGroups")),
            ("parameters", count("AmazonSSM.DescribeParameters", "ssm", "Parameters")),
            (
                "log groups",
                count("Logs_20140328.DescribeLogGroups", "logs", "logGroups"),
            ),
            (
                "secrets",
                count("secretsmanager.ListSecrets", "secretsmanager", "SecretList"),
            ),
            (
                "clusters",
                count("AmazonEC2ContainerServiceV20141113.ListClusters", "ecs", "clusterArns"),
            ),
            (
                "task definitions",
                count(
                    "AmazonEC2ContainerServiceV20141113.ListTaskDefinitions",
                    "ecs",
                    "taskDefinitionArns",
                ),
            ),
        ])
    }

    fn parameter(&self) -> Option<String> {
        let found = self.json("AmazonSSM.GetParameter", "ssm", &json!({"Name": "crash-value"}));
        found["Parameter"]["Value"].as_str().map(str::to_owned)
    }
}

/// Returns a template with a resource of each kind of creation: records, with and without a physical name, and those with a process or
/// several documents behind them. `value` distinguishes two versions; `name` is that of a replaced resource.
fn template(value: &str, name: &str, is_valid: bool) -> String {
    let mut template = json!({"Resources": {
        "Value": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "crash-value", "Type": "String", "Value": value}},
        "Named": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": "x"}},
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "crash-logs"}},
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "crash-secret", "GenerateSecretString": {}}},
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}},
        "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.9.1.0/24"}},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "crash"}},
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
        "Internet": {"Type": "AWS::EC2::InternetGateway"},
        "Attached": {"Type": "AWS::EC2::VPCGatewayAttachment", "Properties": {
            "VpcId": {"Ref": "Vpc"}, "InternetGatewayId": {"Ref": "Internet"}}},
        "Gateway": {"Type": "AWS::EC2::NatGateway", "DependsOn": "Attached", "Properties": {
            "SubnetId": {"Ref": "Subnet"}, "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}}},
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "crash-cluster"}},
        "Definition": {"Type": "AWS::ECS::TaskDefinition", "Properties": {
            "Family": "crash", "Cpu": "256", "Memory": "512", "NetworkMode": "awsvpc", "RequiresCompatibilities": ["FARGATE"],
            "ContainerDefinitions": [{"Name": "main", "Image": "crash:1"}]}},
        "Service": {"Type": "AWS::ECS::Service", "Properties": {
            "ServiceName": "crash-service", "Cluster": {"Ref": "Cluster"}, "TaskDefinition": {"Ref": "Definition"},
            "DesiredCount": 0, "LaunchType": "FARGATE", "NetworkConfiguration": {"AwsvpcConfiguration": {
                "Subnets": [{"Ref": "Subnet"}], "SecurityGroups": [{"Ref": "Group"}]}}}},
    }});
    if value != "one" {
        template["Resources"].as_object_mut().unwrap().shift_remove("Logs");
        template["Resources"]["Added"] =
            json!({"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "crash-added"}});
    }
    if !is_valid {
        // Two parameters of one name: the second creation fails, after the rest.
        template["Resources"]["Duplicate"] = json!({"Type": "AWS::SSM::Parameter", "DependsOn": ["Value", "Added"],
            "Properties": {"Name": "crash-value", "Type": "String", "Value": "y"}});
    }
    template.to_string()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Create,
    Update,
    FailingUpdate,
    CreateByChangeSet,
    Delete,
}

impl Operation {
    fn starts_with_a_stack(self) -> bool {
        !matches!(self, Self::Create | Self::CreateByChangeSet)
    }

    fn begin(self, endpoint: &mut Endpoint) {
        let name = ("StackName", STACK);
        match self {
            Self::Create => {
                let body = template("one", "crash-a", true);
                endpoint.cloudformation("CreateStack", &[name, ("TemplateBody", &body)]);
            }
            Self::Update => {
                let body = template("two", "crash-b", true);
                endpoint.cloudformation("UpdateStack", &[name, ("TemplateBody", &body)]);
            }
            Self::FailingUpdate => {
                let body = template("two", "crash-b", false);
                endpoint.cloudformation("UpdateStack", &[name, ("TemplateBody", &body)]);
            }
            Self::CreateByChangeSet => {
                let body = template("one", "crash-a", true);
                let set = ("ChangeSetName", "set");
                let kind = ("ChangeSetType", "CREATE");
                endpoint.cloudformation("CreateChangeSet", &[name, set, kind, ("TemplateBody", &body)]);
                endpoint.cloudformation("ExecuteChangeSet", &[name, set]);
            }
            Self::Delete => {
                endpoint.cloudformation("DeleteStack", &[name]);
            }
        }
        endpoint.settled();
    }
}

fn delete(endpoint: &mut Endpoint) {
    endpoint.cloudformation("DeleteStack", &[("StackName", STACK)]);
    assert_eq!(endpoint.settled(), None, "a deleted stack has no name");
}

fn create(endpoint: &mut Endpoint) {
    let body = template("one", "crash-a", true);
    let answer = endpoint.cloudformation("CreateStack", &[("StackName", STACK), ("TemplateBody", &body)]);
    assert_eq!(answer.as_ref().map(|(status, _)| *status), Some(200), "{answer:?}");
    let status = endpoint.settled();
    assert_eq!(status.as_deref(), Some("CREATE_COMPLETE"), "{:?}", endpoint.reasons());
}

/// Kills the endpoint after `n` commits of an operation. Returns false if the operation needs fewer.
fn crash(operation: Operation, n: u64, prepared: &Path, empty: &BTreeMap<&'static str, usize>) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    std::fs::create_dir(&state_dir).unwrap();
    for entry in std::fs::read_dir(prepared)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file())
    {
        std::fs::copy(entry.path(), state_dir.join(entry.file_name())).unwrap();
    }
    let mut endpoint = Endpoint::start(&state_dir, Some(n));
    operation.begin(&mut endpoint);
    let was_killed = endpoint.has_ended();
    drop(endpoint);

    let mut endpoint = Endpoint::start(&state_dir, None);
    let status = endpoint.settled();
    if matches!(operation, Operation::Update | Operation::FailingUpdate) {
        let value = endpoint.parameter();
        match status.as_deref() {
            Some("UPDATE_COMPLETE") if operation == Operation::Update => assert_eq!(value.as_deref(), Some("two")),
            Some("CREATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE") => {
                assert_eq!(value.as_deref(), Some("one"));
                let body = template("two", "crash-b", true);
                endpoint.cloudformation("UpdateStack", &[("StackName", STACK), ("TemplateBody", &body)]);
                assert_eq!(endpoint.settled().as_deref(), Some("UPDATE_COMPLETE"));
                assert_eq!(endpoint.parameter().as_deref(), Some("two"));
            }
            other => panic!("the update ends in {other:?}: {:?}", endpoint.reasons()),
        }
    }
    delete(&mut endpoint);
    assert_eq!(endpoint.inventory(), *empty, "something is orphaned");
    create(&mut endpoint);
    delete(&mut endpoint);
    assert_eq!(endpoint.inventory(), *empty, "something is orphaned by the repetition");
    was_killed
}

#[test]
fn a_kill_after_any_write_orphans_nothing_and_blocks_no_name() {
    let (none, with_stack) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let empty = Endpoint::start(none.path(), None).inventory();
    create(&mut Endpoint::start(with_stack.path(), None));
    for operation in [
        Operation::Create,
        Operation::Update,
        Operation::FailingUpdate,
        Operation::CreateByChangeSet,
        Operation::Delete,
    ] {
        let prepared = if operation.starts_with_a_stack() {
            &with_stack
        } else {
            &none
        };
        let (next, failures) = (AtomicU64::new(1), Mutex::new(Vec::new()));
        let end = AtomicU64::new(u64::MAX);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n > end.load(Ordering::SeqCst) {
                            return;
                        }
                        match std::panic::catch_unwind(|| crash(operation, n, prepared.path(), &empty)) {
                            Ok(true) => {}
                            Ok(false) => {
                                end.fetch_min(n, Ordering::SeqCst);
                            }
                            Err(_) => {
                                let mut failures = failures.lock().unwrap();
                                failures.push(n);
                                // If all of them fail, none says where the operation ends.
                                if failures.len() > 20 {
                                    end.fetch_min(n, Ordering::SeqCst);
                                }
                            }
                        }
                    }
                });
            }
        });
        let (failures, points) = (failures.into_inner().unwrap(), end.load(Ordering::SeqCst));
        println!("{operation:?}: {points} writes");
        assert!(points > 5, "{operation:?} has only {points} writes: is it refused?");
        assert!(
            failures.is_empty(),
            "{operation:?}: after {failures:?} of {points} writes"
        );
    }
}
