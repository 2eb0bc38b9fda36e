//! A running target group: its targets and the choice between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::health;
use super::stickiness::target_name;
use super::target::{Target, TargetHealth};
use super::target_group_settings::{Algorithm, TargetGroupSettings};

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

    /// Returns the target of the next request: the one that the client is bound to if it can serve, otherwise by the algorithm of the
    /// group. With too few healthy targets, any that was checked, as an ALB fails open.
    pub fn pick(&self, bound: Option<&str>) -> Option<Arc<Target>> {
        let settings = self.settings();
        let mut candidates = self.targets();
        candidates.retain(|target| matches!(target.health().state, "healthy" | "unhealthy"));
        let is_healthy = |target: &Arc<Target>| target.health().state == "healthy";
        let healthy = candidates.iter().filter(|target| is_healthy(target)).count();
        let least = (candidates.len() * settings.minimum_healthy.percent).div_ceil(100);
        if healthy >= least.max(settings.minimum_healthy.count).max(1) {
            candidates.retain(is_healthy);
        }
        let is_bound = |target: &&Arc<Target>| bound.is_some_and(|name| target_name(target) == name);
        if let Some(target) = candidates.iter().find(is_bound) {
            return Some(target.clone());
        }
        let part = |target: &Arc<Target>| target.started_part(settings.slow_start);
        if candidates.iter().any(|target| part(target) >= 1.0) {
            // A target whose slow start lasts is passed over in proportion to the rest of it.
            candidates.retain(|target| rand::random::<f64>() < part(target));
        }
        match settings.algorithm {
            Algorithm::RoundRobin => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                candidates.get(next % candidates.len().max(1)).cloned()
            }
            Algorithm::LeastOutstanding => candidates.into_iter().min_by_key(|target| target.outstanding()),
            Algorithm::Random if candidates.is_empty() => None,
            Algorithm::Random => candidates.get(rand::random_range(0..candidates.len())).cloned(),
        }
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
            target.removed.cancel();
        }
    }
}

async fn drain(group: Arc<TargetGroup>, target: Arc<Target>) {
    let delay = group.settings().deregistration_delay;
    let _ = tokio::time::timeout(delay, target.wait_idle()).await;
    target.removed.cancel();
    group.targets.write().retain(|t| !Arc::ptr_eq(t, &target));
}
