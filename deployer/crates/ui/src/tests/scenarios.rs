//! Scenarios of deployments: each step at its second of the run.

use serde_json::json;

use super::super::event::{Event, RunOutcome, Sentiment};
use super::events::*;

/// One step of a scenario.
pub enum Step {
    Emit(u64, Event),
    /// The run ends with this outcome and reports its summary.
    End(u64, RunOutcome),
    /// Takes a picture of the screen.
    Screenshot(u64),
}

use Step::{Emit, End, Screenshot};

/// Returns all scenarios.
pub fn all() -> Vec<Vec<Step>> {
    vec![
        first_deployment(),
        nothing_to_do(),
        update(),
        replacement(),
        failing_service(),
        rollback(),
        interrupted(),
        locked(),
        canary(),
        other_events(),
    ]
}

const RDS: &str = "AWS::RDS::DBInstance";
const SERVICE: &str = "AWS::ECS::Service";
const TASKS: &str = "AWS::ECS::TaskDefinition";
const LOGS: &str = "AWS::Logs::LogGroup";

pub fn first_deployment() -> Vec<Step> {
    vec![
        Emit(0, plan(false)),
        Screenshot(0),
        Emit(0, stack("network", "create", 3, Some(106))),
        Emit(1, compiler("   Compiling app v0.1.0\x1b[0m")),
        Emit(1, compiling(211, None)),
        Emit(2, compiling(212, Some(431))),
        Emit(1, resource("network", "Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS")),
        Emit(2, resource("network", "Vpc", "AWS::EC2::VPC", "CREATE_COMPLETE")),
        Emit(
            2,
            resource("network", "Nat", "AWS::EC2::NatGateway", "CREATE_IN_PROGRESS"),
        ),
        // CloudFormation reports it twice: once when it starts, once with its physical id
        Emit(
            3,
            resource("network", "Nat", "AWS::EC2::NatGateway", "CREATE_IN_PROGRESS"),
        ),
        Screenshot(14),
        Emit(20, image("pushing", "")),
        Emit(21, upload(4_100_000, 8_200_000)),
        Screenshot(21),
        Emit(22, image("pushed", "sha256:0123456789abcdef0123456789abcdef")),
        Emit(
            95,
            resource("network", "Nat", "AWS::EC2::NatGateway", "CREATE_COMPLETE"),
        ),
        Emit(96, ended("network", "CREATE_COMPLETE", 96.0)),
        Emit(96, stack("data", "create", 1, Some(595))),
        Emit(97, resource("data", "Database", RDS, "CREATE_IN_PROGRESS")),
        Screenshot(160),
        Emit(700, resource("data", "Database", RDS, "CREATE_COMPLETE")),
        Emit(700, ended("data", "CREATE_COMPLETE", 604.0)),
        Emit(700, waiting("app", "its image")),
        Screenshot(701),
        Emit(701, stack("app", "create", 2, None)),
        Emit(702, resource("app", "Tasks", TASKS, "CREATE_IN_PROGRESS")),
        Emit(703, resource("app", "Tasks", TASKS, "CREATE_COMPLETE")),
        Emit(703, resource("app", "Service", SERVICE, "CREATE_IN_PROGRESS")),
        Emit(704, rollout(&[("app:1", "PRIMARY", "IN_PROGRESS", 2, 0, 2, 0)], 0, &[])),
        Emit(
            710,
            rollout(
                &[("app:1", "PRIMARY", "IN_PROGRESS", 2, 2, 0, 0)],
                0,
                &["healthy", "initial"],
            ),
        ),
        Screenshot(712),
        Emit(
            720,
            rollout(
                &[("app:1", "PRIMARY", "COMPLETED", 2, 2, 0, 0)],
                0,
                &["healthy", "healthy"],
            ),
        ),
        Emit(721, resource("app", "Service", SERVICE, "CREATE_COMPLETE")),
        Emit(721, ended("app", "CREATE_COMPLETE", 20.0)),
        Emit(721, serving("GET /health through the load balancer gives 503")),
        Emit(722, serving("GET /health through the load balancer gives 503")),
        Screenshot(722),
        End(723, RunOutcome::Serves),
        Emit(723, url()),
        Screenshot(723),
    ]
}

pub fn nothing_to_do() -> Vec<Step> {
    let unchanged = |name: &str| Emit(0, ended_as(name, "unchanged", Sentiment::Neutral, 0.0));
    vec![
        Emit(0, plan(true)),
        unchanged("network"),
        unchanged("data"),
        Screenshot(0),
        unchanged("app"),
        End(0, RunOutcome::Serves),
        Emit(0, url()),
        Screenshot(0),
    ]
}

pub fn update() -> Vec<Step> {
    let revisions = |running, pending, old| {
        [
            ("app:2", "PRIMARY", "IN_PROGRESS", 2, running, pending, 0),
            ("app:1", "ACTIVE", "COMPLETED", 0, old, 0, 0),
        ]
    };
    vec![
        Emit(0, plan(true)),
        Emit(0, ended_as("network", "unchanged", Sentiment::Neutral, 0.0)),
        Emit(0, ended_as("data", "unchanged", Sentiment::Neutral, 0.0)),
        Emit(1, stack("app", "update", 2, Some(71))),
        Emit(2, resource("app", "Tasks", TASKS, "UPDATE_IN_PROGRESS")),
        Emit(3, resource("app", "Tasks", TASKS, "UPDATE_COMPLETE")),
        Emit(3, resource("app", "Service", SERVICE, "UPDATE_IN_PROGRESS")),
        Emit(4, rollout(&revisions(0, 2, 2), 0, &["healthy", "healthy"])),
        Screenshot(9),
        Emit(30, rollout(&revisions(2, 0, 1), 0, &["healthy", "healthy", "draining"])),
        Screenshot(65),
        Emit(66, resource("app", "Service", SERVICE, "UPDATE_COMPLETE")),
        Emit(66, cleaning_up("app", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")),
        Emit(67, resource("app", "Tasks", TASKS, "DELETE_IN_PROGRESS")),
        Screenshot(67),
        Emit(68, resource("app", "Tasks", TASKS, "DELETE_COMPLETE")),
        Emit(68, ended("app", "UPDATE_COMPLETE", 67.0)),
        End(69, RunOutcome::Serves),
    ]
}

pub fn replacement() -> Vec<Step> {
    vec![
        Emit(0, plan(true)),
        Emit(0, ended_as("network", "unchanged", Sentiment::Neutral, 0.0)),
        Emit(
            1,
            warning("data: Database (AWS::RDS::DBInstance) would be replaced, and its data deleted"),
        ),
        Emit(9, stack("data", "update", 1, None)),
        Emit(10, resource("data", "Database", RDS, "UPDATE_IN_PROGRESS")),
        Screenshot(200),
        Emit(300, resource("data", "Database", RDS, "UPDATE_COMPLETE")),
        Emit(300, cleaning_up("data", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")),
        Emit(301, resource("data", "Database", RDS, "DELETE_IN_PROGRESS")),
        Screenshot(310),
        Emit(360, resource("data", "Database", RDS, "DELETE_COMPLETE")),
        Emit(360, ended("data", "UPDATE_COMPLETE", 351.0)),
        Emit(361, ended_as("app", "unchanged", Sentiment::Neutral, 0.0)),
        End(362, RunOutcome::Serves),
    ]
}

pub fn failing_service() -> Vec<Step> {
    let first = |running, pending, failed| [("app:1", "PRIMARY", "IN_PROGRESS", 1, running, pending, failed)];
    vec![
        Emit(0, plan(true)),
        Emit(0, ended_as("network", "unchanged", Sentiment::Neutral, 0.0)),
        Emit(0, ended_as("data", "unchanged", Sentiment::Neutral, 0.0)),
        Emit(1, stack("app", "create", 3, None)),
        Emit(2, resource("app", "Service", SERVICE, "CREATE_IN_PROGRESS")),
        Emit(2, resource("app", "Logs", LOGS, "CREATE_IN_PROGRESS")),
        Emit(3, rollout(&first(0, 1, 0), 0, &[])),
        Emit(5, stopped(1)),
        Emit(6, rollout(&first(0, 1, 1), 1, &[])),
        Screenshot(6),
        Emit(8, stopped(2)),
        Emit(11, stopped(3)),
        Emit(11, rollout(&[("app:1", "PRIMARY", "FAILED", 1, 0, 0, 3)], 3, &[])),
        Emit(
            11,
            warning(
                "app cannot start: 3 of its tasks stopped for the same reason; its circuit breaker ends the deployment",
            ),
        ),
        Screenshot(11),
        Emit(
            12,
            failed(
                "app",
                "Service",
                SERVICE,
                "CREATE_FAILED",
                "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.",
            ),
        ),
        Emit(12, cancelled("app", "Logs", LOGS, "CREATE_FAILED")),
        Emit(
            12,
            rolling_back(
                "app",
                "ROLLBACK_IN_PROGRESS",
                "The following resource(s) failed to create: [Service, Logs].",
            ),
        ),
        Emit(13, resource("app", "Service", SERVICE, "DELETE_IN_PROGRESS")),
        Screenshot(14),
        Emit(15, resource("app", "Service", SERVICE, "DELETE_COMPLETE")),
        Emit(15, ended("app", "ROLLBACK_COMPLETE", 14.0)),
        Emit(
            15,
            error(
                "stack app ended in ROLLBACK_COMPLETE; the first resource that failed is Service (AWS::ECS::Service)",
                4,
            ),
        ),
        End(15, RunOutcome::Failed),
    ]
}

pub fn rollback() -> Vec<Step> {
    vec![
        Emit(0, plan(true)),
        Emit(1, stack("network", "update", 2, None)),
        Emit(
            2,
            resource("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_IN_PROGRESS"),
        ),
        Emit(3, resource("network", "Zone", "AWS::EC2::Subnet", "UPDATE_IN_PROGRESS")),
        Emit(
            4,
            failed(
                "network",
                "Zone",
                "AWS::EC2::Subnet",
                "UPDATE_FAILED",
                "The CIDR '10.0.0.0/24' conflicts with another subnet",
            ),
        ),
        Emit(4, cancelled("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_FAILED")),
        Emit(
            5,
            rolling_back(
                "network",
                "UPDATE_ROLLBACK_IN_PROGRESS",
                "The following resource(s) failed to update: [Zone, Nat].",
            ),
        ),
        Emit(
            6,
            resource("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_IN_PROGRESS"),
        ),
        Screenshot(80),
        Emit(
            90,
            resource("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_COMPLETE"),
        ),
        Emit(91, ended("network", "UPDATE_ROLLBACK_COMPLETE", 90.0)),
        Emit(91, note("skipped: app, data")),
        Emit(
            91,
            error(
                "stack network ended in UPDATE_ROLLBACK_COMPLETE; the first resource that failed is Zone (AWS::EC2::Subnet): The CIDR '10.0.0.0/24' conflicts with another subnet (1 other resource cancelled as a consequence)",
                4,
            ),
        ),
        End(91, RunOutcome::Failed),
    ]
}

pub fn canary() -> Vec<Step> {
    const BOTH: &[Row] = &[
        ("app:2", "PRIMARY", "IN_PROGRESS", 1, 1, 0, 0),
        ("app:1", "ACTIVE", "COMPLETED", 1, 1, 0, 0),
    ];
    vec![
        Emit(0, plan(true)),
        Emit(1, stack("app", "update", 2, None)),
        Emit(2, resource("app", "Service", SERVICE, "UPDATE_IN_PROGRESS")),
        Emit(3, shifting(BOTH, "SCALE_UP", 0, None)),
        Emit(20, shifting(BOTH, "PRODUCTION_TRAFFIC_SHIFT", 10, Some(5))),
        Screenshot(21),
        Emit(80, shifting(BOTH, "PRODUCTION_TRAFFIC_SHIFT", 10, Some(4))),
        Emit(320, shifting(BOTH, "BAKE_TIME", 100, Some(5))),
        Screenshot(321),
        Emit(400, shifting(BOTH, "ROLLBACK", 0, None)),
        Screenshot(401),
    ]
}

pub fn interrupted() -> Vec<Step> {
    vec![
        Emit(0, plan(false)),
        Emit(0, stack("network", "create", 3, None)),
        Emit(1, resource("network", "Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS")),
        Emit(
            5,
            note("Interrupted. Can be rolled back: network (delete the new stack). Press Ctrl-C again to detach."),
        ),
        Screenshot(6),
        Emit(7, error("interrupted", 130)),
        End(7, RunOutcome::Interrupted),
        Screenshot(7),
    ]
}

pub fn locked() -> Vec<Step> {
    vec![
        Emit(
            0,
            error(
                "another deployment is running: the lock is held by ann@desk (pid 7) since 2026-01-02T03:00:00Z, expires 2026-01-02T03:05:30Z",
                1,
            ),
        ),
        End(0, RunOutcome::Failed),
        Screenshot(0),
    ]
}

/// Events that no deployment above reports.
pub fn other_events() -> Vec<Step> {
    let log = Event::Log {
        service: "app".into(),
        time: "2026-01-02T03:04:05Z".into(),
        stream: "app/app/0a1b".into(),
        message: "ready".into(),
    };
    let diff = Event::Result {
        kind: "diff",
        value: json!({ "stacks": [] }),
    };
    vec![Emit(0, log), Emit(0, diff)]
}
