//! An open-loop load generator: each request has an intended start, from which its latency is measured.
//!
//! A closed loop (request, wait, repeat) sends fewer requests while a system is slow, and so hides how long its users
//! would have waited ("coordinated omission"). Here a slow response does not delay any other request.
//!
//! `scripts/load` uses [`Load::run`]; a test uses [`Load::start`] to change the system under load.

mod api;
mod mix;
mod patients;
mod report;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use http::Uri;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

pub use api::{Fault, Login};
pub use mix::{Mix, Operation};
pub use report::{Failure, Latencies, Report};

use api::Api;
use patients::Patients;
use report::Sample;

/// Maximum number of requests in flight; the wait of further ones counts as latency.
const MAX_IN_FLIGHT: usize = 2048;
/// Number of patients that are created before the load starts, so that there are some to read.
const INITIAL_PATIENTS: usize = 20;

/// Settings of a load.
#[derive(Clone)]
pub struct Load {
    /// The system's public address, `http://host:port`.
    pub base: Uri,
    /// Credentials of the user; an ADMIN if the mix has operations for admins.
    pub login: Login,
    /// Requests per second.
    pub rps: f64,
    /// Operations and their weights.
    pub mix: Mix,
}

/// A running load.
pub struct Running {
    api: Arc<Api>,
    patients: Arc<Patients>,
    completed: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    driver: JoinHandle<Vec<Sample>>,
    started: Instant,
}

impl Load {
    /// Runs the load for this long, waits for the last response, and returns the report; deletes the created patients unless
    /// `keep` is set.
    ///
    /// # Errors
    /// If the system is unreachable or the login fails; later failures are in the report.
    pub async fn run(self, time: Duration, keep: bool) -> anyhow::Result<Report> {
        let running = self.start().await?;
        tokio::time::sleep(time).await;
        let (api, patients) = (running.api.clone(), running.patients.clone());
        let mut report = running.stop().await?;
        if !keep && let Err(fault) = patients.delete_all(&api).await {
            report.cleanup_error = Some(fault);
        }
        Ok(report)
    }

    /// Logs in, creates the initial patients, and starts the load.
    ///
    /// # Errors
    /// Those of [`Load::run`].
    pub async fn start(self) -> anyhow::Result<Running> {
        let api = Arc::new(Api::log_in(&self.base, self.login).await?);
        let patients = Arc::new(Patients::new(&api, INITIAL_PATIENTS).await?);
        let (stop, stopped) = watch::channel(false);
        let completed = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let requests = Driver {
            api: api.clone(),
            patients: patients.clone(),
            completed: completed.clone(),
            started,
        };
        let driver = tokio::spawn(drive(requests, self.rps, self.mix, stopped));
        Ok(Running {
            api,
            patients,
            completed,
            stop,
            driver,
            started,
        })
    }
}

impl Running {
    /// Returns the number of requests that have succeeded or failed so far.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Stops the load, waits for the requests in flight, and returns the report.
    ///
    /// # Errors
    /// If the load generator itself panicked.
    pub async fn stop(self) -> anyhow::Result<Report> {
        let _ = self.stop.send(true);
        let duration = self.started.elapsed();
        let samples = self.driver.await.context("the load generator panicked")?;
        let mut report = Report::new(samples, duration, self.patients.created());
        report.answered = self.api.answered();
        Ok(report)
    }
}

#[derive(Clone)]
struct Driver {
    api: Arc<Api>,
    patients: Arc<Patients>,
    completed: Arc<AtomicU64>,
    started: Instant,
}

/// Starts request number n at n / rps seconds after the start.
async fn drive(driver: Driver, rps: f64, mix: Mix, mut stopped: watch::Receiver<bool>) -> Vec<Sample> {
    let permits = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut requests = JoinSet::new();
    let mut samples = Vec::new();
    for number in 0_u32.. {
        let intended = driver.started + Duration::from_secs_f64(f64::from(number) / rps);
        tokio::select! {
            _ = stopped.changed() => break,
            () = sleep_until(intended) => {}
        }
        requests.spawn(request(driver.clone(), mix.choose(), intended, permits.clone()));
        while let Some(done) = requests.try_join_next() {
            samples.extend(done);
        }
    }
    while let Some(done) = requests.join_next().await {
        samples.extend(done);
    }
    samples
}

async fn request(driver: Driver, operation: Operation, intended: Instant, permits: Arc<Semaphore>) -> Sample {
    // The semaphore is never closed.
    let _permit = permits.acquire_owned().await;
    let outcome = driver.patients.request(&driver.api, operation).await;
    driver.completed.fetch_add(1, Ordering::Relaxed);
    Sample {
        operation,
        intended: intended - driver.started,
        latency: intended.elapsed(),
        outcome,
    }
}
