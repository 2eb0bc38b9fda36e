//! A target group while it runs: who is in it, and how each one is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::health;

/// What a target group says about checks and draining.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub path: String,
    /// The port to check; the traffic port when absent.
    pub port: Option<u16>,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    /// Status codes that are a success, as inclusive ranges.
    pub matcher: Vec<(u16, u16)>,
    pub deregistration_delay: Duration,
}

/// A target's state as DescribeTargetHealth names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub state: &'static str,
    pub reason: Option<&'static str>,
    pub description: Option<String>,
}

pub struct Target {
    pub address: SocketAddr,
    health: Mutex<Health>,
    in_flight: AtomicUsize,
    stop: CancellationToken,
}

pub struct Group {
    settings: RwLock<Settings>,
    targets: RwLock<Vec<Arc<Target>>>,
    turn: AtomicUsize,
}

/// One request on its way through a target; dropped when the last byte of the answer has gone.
pub struct InFlight(Arc<Target>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Target {
    pub fn health(&self) -> Health {
        self.health.lock().expect("no panic holds this lock").clone()
    }

    /// A target that drains stays so.
    pub fn set(&self, health: Health) {
        let mut held = self.health.lock().expect("no panic holds this lock");
        if held.state != "draining" {
            *held = health;
        }
    }

    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }
}

impl Group {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: RwLock::new(settings),
            targets: RwLock::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub fn settings(&self) -> Settings {
        self.settings.read().expect("no panic holds this lock").clone()
    }

    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.targets.read().expect("no panic holds this lock").clone()
    }

    /// Whose turn it is: healthy targets; when every one is unhealthy, any of them, as an ALB fails open.
    pub fn pick(&self) -> Option<Arc<Target>> {
        let targets = self.targets();
        let in_state = |state: &str| -> Vec<_> { targets.iter().filter(|t| t.health().state == state).collect() };
        let mut able = in_state("healthy");
        if able.is_empty() {
            able = in_state("unhealthy");
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        able.get(turn % able.len().max(1)).map(|target| (*target).clone())
    }

    /// Checks new targets; drains those that are no longer wanted, for as long as requests are under way in them.
    pub fn reconcile(self: &Arc<Self>, settings: Settings, wanted: &[SocketAddr], shutdown: &CancellationToken) {
        *self.settings.write().expect("no panic holds this lock") = settings;
        let mut targets = self.targets.write().expect("no panic holds this lock");
        for target in targets
            .iter()
            .filter(|t| !wanted.contains(&t.address) && t.health().state != "draining")
        {
            target.set(Health {
                state: "draining",
                reason: Some("Target.DeregistrationInProgress"),
                description: Some("Target deregistration is in progress".into()),
            });
            target.stop.cancel();
            tokio::spawn(drain(self.clone(), target.clone()));
        }
        for address in wanted {
            if targets
                .iter()
                .any(|t| t.address == *address && t.health().state != "draining")
            {
                continue;
            }
            let target = Arc::new(Target {
                address: *address,
                health: Mutex::new(Health {
                    state: "initial",
                    reason: Some("Elb.RegistrationInProgress"),
                    description: Some("Target registration is in progress".into()),
                }),
                in_flight: AtomicUsize::new(0),
                stop: shutdown.child_token(),
            });
            tokio::spawn(health::check(Arc::downgrade(self), target.clone(), target.stop.clone()));
            targets.push(target);
        }
    }

    pub fn close(&self) {
        for target in self.targets.write().expect("no panic holds this lock").drain(..) {
            target.stop.cancel();
        }
    }
}

async fn drain(group: Arc<Group>, target: Arc<Target>) {
    let quiet = async {
        while target.in_flight.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(group.settings().deregistration_delay, quiet).await;
    group
        .targets
        .write()
        .expect("no panic holds this lock")
        .retain(|t| !Arc::ptr_eq(t, &target));
}
