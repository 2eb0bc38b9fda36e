//! A running target group: its targets and the choice between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::health;
use super::target::{Target, TargetGroupSettings, TargetHealth};

/// A target group that serves.
pub struct TargetGroup {
    settings: RwLock<TargetGroupSettings>,
    targets: RwLock<Vec<Arc<Target>>>,
    next: AtomicUsize,
}

impl TargetGroup {
    /// Creates a group without targets.
    pub fn new(settings: TargetGroupSettings) -> Self {
        Self {
            settings: RwLock::new(settings),
            targets: RwLock::default(),
            next: AtomicUsize::new(0),
        }
    }

    /// Returns the current settings.
    pub fn settings(&self) -> TargetGroupSettings {
        self.settings.read().clone()
    }

    /// Returns the registered targets and those that drain.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.targets.read().clone()
    }

    /// Returns the next healthy target, round robin. If all are unhealthy, any of them, as an ALB fails open.
    pub fn pick(&self) -> Option<Arc<Target>> {
        let targets = self.targets();
        let in_state = |state: &str| -> Vec<_> { targets.iter().filter(|t| t.health().state == state).collect() };
        let mut candidates = in_state("healthy");
        if candidates.is_empty() {
            candidates = in_state("unhealthy");
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let picked = candidates.get(next % candidates.len().max(1));
        picked.map(|target| (*target).clone())
    }

    /// Registers new targets, and drains those that are no longer desired while requests are in flight to them.
    pub fn reconcile(
        self: &Arc<Self>,
        settings: TargetGroupSettings,
        desired: &[SocketAddr],
        shutdown: &CancellationToken,
    ) {
        *self.settings.write() = settings;
        let mut targets = self.targets.write();
        for target in targets
            .iter()
            .filter(|t| !desired.contains(&t.address) && !t.is_draining())
        {
            target.set_health(TargetHealth {
                state: "draining",
                reason: Some("Target.DeregistrationInProgress"),
                description: Some("Target deregistration is in progress".into()),
            });
            target.stop.cancel();
            tokio::spawn(drain(self.clone(), target.clone()));
        }
        for address in desired {
            if targets.iter().any(|t| t.address == *address && !t.is_draining()) {
                continue;
            }
            let target = Arc::new(Target::new(*address, shutdown.child_token()));
            let group = Arc::downgrade(self);
            let settings = move || group.upgrade().map(|group| group.settings());
            tokio::spawn(health::check(settings, target.clone()));
            targets.push(target);
        }
    }

    /// Removes all targets at once, without draining.
    pub fn close(&self) {
        for target in self.targets.write().drain(..) {
            target.stop.cancel();
        }
    }
}

async fn drain(group: Arc<TargetGroup>, target: Arc<Target>) {
    let delay = group.settings().deregistration_delay;
    let _ = tokio::time::timeout(delay, target.wait_idle()).await;
    group.targets.write().retain(|t| !Arc::ptr_eq(t, &target));
}
