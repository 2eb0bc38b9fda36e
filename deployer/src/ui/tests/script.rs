//! What happens in deployments, scripted: each beat at its second of the run.

use serde_json::json;

use super::super::event::{Event, Mood, Outcome};
use super::events::*;

/// One beat of a script.
pub enum Beat {
    Happens(u64, Event),
    /// The run ends so: its summary is told.
    Ends(u64, Outcome),
    /// Somebody looks at the screen.
    Look(u64),
}

use Beat::{Ends, Happens, Look};

const RDS: &str = "AWS::RDS::DBInstance";
const SERVICE: &str = "AWS::ECS::Service";
const TASKS: &str = "AWS::ECS::TaskDefinition";
const LOGS: &str = "AWS::Logs::LogGroup";

pub fn first_deployment() -> Vec<Beat> {
    vec![
        Happens(0, plan(false)),
        Look(0),
        Happens(0, stack("network", "create", 3, Some(106))),
        Happens(1, compiler("   Compiling app v0.1.0\x1b[0m")),
        Happens(1, resource("network", "Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS")),
        Happens(2, resource("network", "Vpc", "AWS::EC2::VPC", "CREATE_COMPLETE")),
        Happens(
            2,
            resource("network", "Nat", "AWS::EC2::NatGateway", "CREATE_IN_PROGRESS"),
        ),
        // CloudFormation says it twice: it has begun, and here is its id
        Happens(
            3,
            resource("network", "Nat", "AWS::EC2::NatGateway", "CREATE_IN_PROGRESS"),
        ),
        Look(14),
        Happens(20, image("pushing", "")),
        Happens(21, upload(4_100_000, 8_200_000)),
        Look(21),
        Happens(22, image("pushed", "sha256:0123456789abcdef0123456789abcdef")),
        Happens(
            95,
            resource("network", "Nat", "AWS::EC2::NatGateway", "CREATE_COMPLETE"),
        ),
        Happens(96, ended("network", "CREATE_COMPLETE", 96.0)),
        Happens(96, stack("data", "create", 1, Some(595))),
        Happens(97, resource("data", "Database", RDS, "CREATE_IN_PROGRESS")),
        Look(160),
        Happens(700, resource("data", "Database", RDS, "CREATE_COMPLETE")),
        Happens(700, ended("data", "CREATE_COMPLETE", 604.0)),
        Happens(700, waits("app", "its image")),
        Look(701),
        Happens(701, stack("app", "create", 2, None)),
        Happens(702, resource("app", "Tasks", TASKS, "CREATE_IN_PROGRESS")),
        Happens(703, resource("app", "Tasks", TASKS, "CREATE_COMPLETE")),
        Happens(703, resource("app", "Service", SERVICE, "CREATE_IN_PROGRESS")),
        Happens(704, rollout(&[("app:1", "PRIMARY", "IN_PROGRESS", 2, 0, 2, 0)], 0, &[])),
        Happens(
            710,
            rollout(
                &[("app:1", "PRIMARY", "IN_PROGRESS", 2, 2, 0, 0)],
                0,
                &["healthy", "initial"],
            ),
        ),
        Look(712),
        Happens(
            720,
            rollout(
                &[("app:1", "PRIMARY", "COMPLETED", 2, 2, 0, 0)],
                0,
                &["healthy", "healthy"],
            ),
        ),
        Happens(721, resource("app", "Service", SERVICE, "CREATE_COMPLETE")),
        Happens(721, ended("app", "CREATE_COMPLETE", 20.0)),
        Happens(721, serving("GET /health through the load balancer gives 503")),
        Happens(722, serving("GET /health through the load balancer gives 503")),
        Look(722),
        Ends(723, Outcome::Serves),
        Happens(723, url()),
        Look(723),
    ]
}

pub fn nothing_to_do() -> Vec<Beat> {
    let unchanged = |name: &str| Happens(0, ended_as(name, "unchanged", Mood::Neutral, 0.0));
    vec![
        Happens(0, plan(true)),
        unchanged("network"),
        unchanged("data"),
        Look(0),
        unchanged("app"),
        Ends(0, Outcome::Serves),
        Happens(0, url()),
        Look(0),
    ]
}

pub fn update() -> Vec<Beat> {
    let revisions = |running, pending, old| {
        [
            ("app:2", "PRIMARY", "IN_PROGRESS", 2, running, pending, 0),
            ("app:1", "ACTIVE", "COMPLETED", 0, old, 0, 0),
        ]
    };
    vec![
        Happens(0, plan(true)),
        Happens(0, ended_as("network", "unchanged", Mood::Neutral, 0.0)),
        Happens(0, ended_as("data", "unchanged", Mood::Neutral, 0.0)),
        Happens(1, stack("app", "update", 2, Some(71))),
        Happens(2, resource("app", "Tasks", TASKS, "UPDATE_IN_PROGRESS")),
        Happens(3, resource("app", "Tasks", TASKS, "UPDATE_COMPLETE")),
        Happens(3, resource("app", "Service", SERVICE, "UPDATE_IN_PROGRESS")),
        Happens(4, rollout(&revisions(0, 2, 2), 0, &["healthy", "healthy"])),
        Look(9),
        Happens(30, rollout(&revisions(2, 0, 1), 0, &["healthy", "healthy", "draining"])),
        Look(65),
        Happens(66, resource("app", "Service", SERVICE, "UPDATE_COMPLETE")),
        Happens(66, turns("app", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None)),
        Happens(67, resource("app", "Tasks", TASKS, "DELETE_IN_PROGRESS")),
        Look(67),
        Happens(68, resource("app", "Tasks", TASKS, "DELETE_COMPLETE")),
        Happens(68, ended("app", "UPDATE_COMPLETE", 67.0)),
        Ends(69, Outcome::Serves),
    ]
}

pub fn replacement() -> Vec<Beat> {
    vec![
        Happens(0, plan(true)),
        Happens(0, ended_as("network", "unchanged", Mood::Neutral, 0.0)),
        Happens(
            1,
            warning("data: Database (AWS::RDS::DBInstance) would be replaced, and what it holds is lost"),
        ),
        Happens(9, stack("data", "update", 1, None)),
        Happens(10, resource("data", "Database", RDS, "UPDATE_IN_PROGRESS")),
        Look(200),
        Happens(300, resource("data", "Database", RDS, "UPDATE_COMPLETE")),
        Happens(300, turns("data", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None)),
        Happens(301, resource("data", "Database", RDS, "DELETE_IN_PROGRESS")),
        Look(310),
        Happens(360, resource("data", "Database", RDS, "DELETE_COMPLETE")),
        Happens(360, ended("data", "UPDATE_COMPLETE", 351.0)),
        Happens(361, ended_as("app", "unchanged", Mood::Neutral, 0.0)),
        Ends(362, Outcome::Serves),
    ]
}

pub fn failing_service() -> Vec<Beat> {
    let first = |running, pending, failed| [("app:1", "PRIMARY", "IN_PROGRESS", 1, running, pending, failed)];
    vec![
        Happens(0, plan(true)),
        Happens(0, ended_as("network", "unchanged", Mood::Neutral, 0.0)),
        Happens(0, ended_as("data", "unchanged", Mood::Neutral, 0.0)),
        Happens(1, stack("app", "create", 3, None)),
        Happens(2, resource("app", "Service", SERVICE, "CREATE_IN_PROGRESS")),
        Happens(2, resource("app", "Logs", LOGS, "CREATE_IN_PROGRESS")),
        Happens(3, rollout(&first(0, 1, 0), 0, &[])),
        Happens(5, stopped(1)),
        Happens(6, rollout(&first(0, 1, 1), 1, &[])),
        Look(6),
        Happens(8, stopped(2)),
        Happens(11, stopped(3)),
        Happens(11, rollout(&[("app:1", "PRIMARY", "FAILED", 1, 0, 0, 3)], 3, &[])),
        Happens(
            11,
            warning(
                "app cannot start: 3 of its tasks stopped for the same reason; its circuit breaker ends the deployment",
            ),
        ),
        Look(11),
        Happens(
            12,
            failed(
                "app",
                "Service",
                SERVICE,
                "CREATE_FAILED",
                "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.",
            ),
        ),
        Happens(12, cancelled("app", "Logs", LOGS, "CREATE_FAILED")),
        Happens(
            12,
            turns(
                "app",
                "ROLLBACK_IN_PROGRESS",
                Some("The following resource(s) failed to create: [Service, Logs]."),
            ),
        ),
        Happens(13, resource("app", "Service", SERVICE, "DELETE_IN_PROGRESS")),
        Look(14),
        Happens(15, resource("app", "Service", SERVICE, "DELETE_COMPLETE")),
        Happens(15, ended("app", "ROLLBACK_COMPLETE", 14.0)),
        Happens(
            15,
            error(
                "stack app ended in ROLLBACK_COMPLETE; the first resource that failed is Service (AWS::ECS::Service)",
                4,
            ),
        ),
        Ends(15, Outcome::Failed),
    ]
}

pub fn rollback() -> Vec<Beat> {
    vec![
        Happens(0, plan(true)),
        Happens(1, stack("network", "update", 2, None)),
        Happens(
            2,
            resource("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_IN_PROGRESS"),
        ),
        Happens(3, resource("network", "Zone", "AWS::EC2::Subnet", "UPDATE_IN_PROGRESS")),
        Happens(
            4,
            failed(
                "network",
                "Zone",
                "AWS::EC2::Subnet",
                "UPDATE_FAILED",
                "The CIDR '10.0.0.0/24' conflicts with another subnet",
            ),
        ),
        Happens(4, cancelled("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_FAILED")),
        Happens(
            5,
            turns(
                "network",
                "UPDATE_ROLLBACK_IN_PROGRESS",
                Some("The following resource(s) failed to update: [Zone, Nat]."),
            ),
        ),
        Happens(
            6,
            resource("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_IN_PROGRESS"),
        ),
        Look(80),
        Happens(
            90,
            resource("network", "Nat", "AWS::EC2::NatGateway", "UPDATE_COMPLETE"),
        ),
        Happens(91, ended("network", "UPDATE_ROLLBACK_COMPLETE", 90.0)),
        Happens(91, note("not begun: app, data")),
        Happens(
            91,
            error(
                "stack network ended in UPDATE_ROLLBACK_COMPLETE; the first resource that failed is Zone (AWS::EC2::Subnet): The CIDR '10.0.0.0/24' conflicts with another subnet (1 other resource was cancelled in consequence)",
                4,
            ),
        ),
        Ends(91, Outcome::Failed),
    ]
}

pub fn interrupted() -> Vec<Beat> {
    vec![
        Happens(0, plan(false)),
        Happens(0, stack("network", "create", 3, None)),
        Happens(1, resource("network", "Vpc", "AWS::EC2::VPC", "CREATE_IN_PROGRESS")),
        Happens(
            5,
            note(
                "interrupted; what can be undone: network (delete what is being created). Ctrl-C again leaves it running.",
            ),
        ),
        Look(6),
        Happens(7, error("interrupted", 130)),
        Ends(7, Outcome::Interrupted),
        Look(7),
    ]
}

pub fn locked() -> Vec<Beat> {
    vec![
        Happens(
            0,
            error(
                "another deployment is running: the lock is held by ann@desk (pid 7) since 2026-01-02T03:00:00Z, expires 2026-01-02T03:05:30Z",
                1,
            ),
        ),
        Ends(0, Outcome::Failed),
        Look(0),
    ]
}

/// What no deployment above says.
pub fn the_rest() -> Vec<Beat> {
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
    vec![Happens(0, log), Happens(0, diff)]
}
