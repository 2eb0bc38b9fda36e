//! Short constructors for the events of a small shop with three stacks.

use serde_json::json;

use super::super::event::{Event, PlannedStack, Sentiment};
use super::super::rollout::{CircuitBreaker, Revision, Rollout, Traffic};

pub fn plan(exists: bool) -> Event {
    let planned = |short_name: &str, depends_on: &[&str], seconds: u32| PlannedStack {
        stack: full(short_name),
        short_name: short_name.into(),
        exists,
        depends_on: depends_on.iter().map(|name| full(name)).collect(),
        expected_seconds: (!exists).then_some(seconds),
    };
    Event::Plan {
        project: "shop".into(),
        environment: "dev".into(),
        endpoint: "http://127.0.0.1:4566".into(),
        stacks: vec![
            planned("network", &[], 106),
            planned("data", &["network"], 595),
            planned("app", &["network", "data"], 119),
        ],
        orphaned_stacks: if exists {
            vec!["shop-dev-old".into()]
        } else {
            Vec::new()
        },
    }
}

fn full(name: &str) -> String {
    format!("shop-dev-{name}")
}

pub fn note(text: &str) -> Event {
    Event::Note { text: text.into() }
}

pub fn warning(text: &str) -> Event {
    Event::Warning { text: text.into() }
}

pub fn stack(name: &str, action: &'static str, resources: usize, expected_seconds: Option<u32>) -> Event {
    Event::Stack {
        stack: full(name),
        action,
        resources,
        expected_seconds,
    }
}

pub fn waiting(name: &str, on: &str) -> Event {
    Event::StackWaiting {
        stack: full(name),
        on: on.into(),
    }
}

pub fn rolling_back(name: &str, status: &str, reason: &str) -> Event {
    Event::StackRollingBack {
        stack: full(name),
        status: status.into(),
        reason: Some(reason.into()),
    }
}

pub fn cleaning_up(name: &str, status: &str) -> Event {
    Event::StackCleaningUp {
        stack: full(name),
        status: status.into(),
    }
}

pub fn resource(stack: &str, resource: &str, resource_type: &str, status: &str) -> Event {
    Event::Resource {
        stack: full(stack),
        resource: resource.into(),
        resource_type: resource_type.into(),
        status: status.into(),
        reason: None,
        cancelled: false,
    }
}

pub fn failed(stack: &str, resource: &str, resource_type: &str, status: &str, reason: &str) -> Event {
    Event::Resource {
        stack: full(stack),
        resource: resource.into(),
        resource_type: resource_type.into(),
        status: status.into(),
        reason: Some(reason.into()),
        cancelled: false,
    }
}

pub fn cancelled(stack: &str, resource: &str, resource_type: &str, status: &str) -> Event {
    Event::Resource {
        stack: full(stack),
        resource: resource.into(),
        resource_type: resource_type.into(),
        status: status.into(),
        reason: Some("Resource creation cancelled".into()),
        cancelled: true,
    }
}

pub fn ended(name: &str, status: &str, seconds: f32) -> Event {
    ended_as(name, status, Sentiment::of(status), seconds)
}

pub fn ended_as(name: &str, status: &str, sentiment: Sentiment, seconds: f32) -> Event {
    Event::StackEnded {
        stack: full(name),
        status: status.into(),
        sentiment,
        seconds,
    }
}

pub fn compiler(line: &str) -> Event {
    Event::Compiler { line: line.into() }
}

pub fn compiling(finished: usize, total: Option<usize>) -> Event {
    Event::Compiling { finished, total }
}

pub fn upload(sent: u64, total: u64) -> Event {
    Event::Upload {
        service: "app".into(),
        sent,
        total,
    }
}

pub fn image(step: &'static str, detail: &str) -> Event {
    Event::Image {
        service: "app".into(),
        step,
        detail: detail.into(),
    }
}

pub fn serving(state: &str) -> Event {
    Event::Serving { state: state.into() }
}

pub type Row<'a> = (&'a str, &'a str, &'a str, i32, i32, i32, i32);

pub fn rollout(rows: &[Row], failed: i32, targets: &[&str]) -> Event {
    let revisions = rows
        .iter()
        .map(|(name, status, rollout, desired, running, pending, failed)| Revision {
            name: (*name).into(),
            status: (*status).into(),
            rollout: (*rollout).into(),
            desired: *desired,
            running: *running,
            pending: *pending,
            failed: *failed,
        });
    Event::Rollout {
        stack: full("app"),
        resource: "Service".into(),
        rollout: Rollout {
            service: "app".into(),
            revisions: revisions.collect(),
            breaker: Some(CircuitBreaker { failed, threshold: 3 }),
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            traffic: None,
        },
    }
}

/// Returns a rollout that moves requests.
pub fn shifting(rows: &[Row], stage: &str, percent: u32, minutes: Option<u32>) -> Event {
    let mut event = rollout(rows, 0, &["healthy", "healthy"]);
    if let Event::Rollout { rollout, .. } = &mut event {
        rollout.traffic = Some(Traffic {
            strategy: "CANARY".into(),
            stage: stage.into(),
            percent,
            minutes,
        });
    }
    event
}

pub fn stopped(times: u32) -> Event {
    Event::TaskStopped {
        service: "app".into(),
        task: format!("0a1b{times}"),
        reason: "Essential container in task exited".into(),
        exit_code: Some(1),
        log: vec![
            "starting".into(),
            "\x1b[31mDATABASE_TLS: nonsense is not a mode\x1b[0m".into(),
        ],
        times,
    }
}

pub fn error(message: &str, exit_code: u8) -> Event {
    Event::Error {
        code: "locked",
        message: message.into(),
        hint: Some("`deployer up` continues from here".into()),
        exit_code,
    }
}

pub fn url() -> Event {
    Event::Result {
        kind: "up",
        value: json!({ "url": "http://localhost:8080", "curl": [], "changed": 3 }),
    }
}
