//! Events of a small shop with three stacks, in a few words each.

use serde_json::json;

use super::super::event::{Event, Mood, Planned};
use crate::ecs::rollout::{Breaker, Revision, Rollout};

pub fn plan(exists: bool) -> Event {
    let planned = |short: &str, needs: &[&str], seconds: u32| Planned {
        stack: format!("shop-dev-{short}"),
        short: short.into(),
        exists,
        needs: needs.iter().map(|need| format!("shop-dev-{need}")).collect(),
        expected_seconds: (!exists).then_some(seconds),
    };
    Event::Plan {
        project: "shop".into(),
        environment: "dev".into(),
        place: "http://127.0.0.1:4566".into(),
        stacks: vec![
            planned("network", &[], 106),
            planned("data", &["network"], 595),
            planned("app", &["network", "data"], 119),
        ],
        left: if exists {
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

pub fn waits(name: &str, on: &str) -> Event {
    Event::StackWaits {
        stack: full(name),
        on: on.into(),
    }
}

pub fn turns(name: &str, status: &str, reason: Option<&str>) -> Event {
    Event::StackTurns {
        stack: full(name),
        status: status.into(),
        reason: reason.map(str::to_owned),
    }
}

pub fn resource(stack: &str, resource: &str, kind: &str, status: &str) -> Event {
    Event::Resource {
        stack: full(stack),
        resource: resource.into(),
        kind: kind.into(),
        status: status.into(),
        reason: None,
        cancelled: false,
    }
}

pub fn failed(stack: &str, resource: &str, kind: &str, status: &str, reason: &str) -> Event {
    Event::Resource {
        stack: full(stack),
        resource: resource.into(),
        kind: kind.into(),
        status: status.into(),
        reason: Some(reason.into()),
        cancelled: false,
    }
}

pub fn cancelled(stack: &str, resource: &str, kind: &str, status: &str) -> Event {
    Event::Resource {
        stack: full(stack),
        resource: resource.into(),
        kind: kind.into(),
        status: status.into(),
        reason: Some("Resource creation cancelled".into()),
        cancelled: true,
    }
}

pub fn ended(name: &str, status: &str, seconds: f32) -> Event {
    ended_as(name, status, Mood::of(status), seconds)
}

pub fn ended_as(name: &str, status: &str, mood: Mood, seconds: f32) -> Event {
    Event::StackEnded {
        stack: full(name),
        status: status.into(),
        mood,
        seconds,
    }
}

pub fn compiler(line: &str) -> Event {
    Event::Compiler { line: line.into() }
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
            breaker: Some(Breaker { failed, threshold: 3 }),
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        },
    }
}

pub fn stopped(times: u32) -> Event {
    Event::TaskStopped {
        service: "app".into(),
        task: format!("0a1b{times}"),
        reason: "Essential container in task exited".into(),
        exit_code: Some(1),
        log: vec![
            "starting".into(),
            "\x1b[31mDATABASE_TLS: nonsense is no mode\x1b[0m".into(),
        ],
        times,
    }
}

pub fn error(message: &str, exit_code: u8) -> Event {
    Event::Error {
        message: message.into(),
        hint: Some("`deployer up` goes on from here".into()),
        exit_code,
    }
}

pub fn url() -> Event {
    Event::Result {
        kind: "up",
        value: json!({ "url": "http://localhost:8080", "curl": [], "changed": 3 }),
    }
}
