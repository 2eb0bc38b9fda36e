//! An open-loop load generator: it asks at the times it meant to, whatever the system does, and measures from then.
//!
//! A closed loop (ask, wait, ask again) asks less while a system is slow, and so hides what its users would have waited
//! ("coordinated omission"). Here each request has its intended start, and a late answer makes no other request later.
//!
//! [`Load::run`] is what `scripts/load` does; [`Load::start`] lets a test do something to the system meanwhile.

mod api;
mod mix;
mod people;
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
use people::People;
use report::Sample;

/// Requests that may be under way at once; more wait, and their wait counts.
const PLACES: usize = 2048;
/// Patients that exist before the load begins, so that there is somebody to read.
const FIRST: usize = 20;

/// What is asked, how often, and of whom.
#[derive(Clone)]
pub struct Load {
    /// The system's public address, `http://host:port`.
    pub base: Uri,
    /// Who asks; an ADMIN where the mix holds what only admins may.
    pub login: Login,
    /// Requests a second.
    pub rps: f64,
    /// What is asked.
    pub mix: Mix,
}

/// A load that is under way.
pub struct Running {
    api: Arc<Api>,
    people: Arc<People>,
    answered: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    driver: JoinHandle<Vec<Sample>>,
    started: Instant,
}

impl Load {
    /// Asks for so long, waits for the last answer, and tells how it went; what it created is deleted, unless `keep`.
    ///
    /// # Errors
    /// When the system cannot be reached or does not let the user in; what fails later is in the report.
    pub async fn run(self, time: Duration, keep: bool) -> anyhow::Result<Report> {
        let running = self.start().await?;
        tokio::time::sleep(time).await;
        let (api, people) = (running.api.clone(), running.people.clone());
        let mut report = running.stop().await?;
        if !keep && let Err(fault) = people.forget(&api).await {
            report.left_behind = Some(fault);
        }
        Ok(report)
    }

    /// Logs in, creates the first patients, and begins.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub async fn start(self) -> anyhow::Result<Running> {
        let api = Arc::new(Api::log_in(&self.base, self.login).await?);
        let people = Arc::new(People::new(&api, FIRST).await?);
        let (stop, stopped) = watch::channel(false);
        let answered = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let asking = Asking {
            api: api.clone(),
            people: people.clone(),
            answered: answered.clone(),
            started,
        };
        let driver = tokio::spawn(drive(asking, self.rps, self.mix, stopped));
        Ok(Running {
            api,
            people,
            answered,
            stop,
            driver,
            started,
        })
    }
}

impl Running {
    /// How many requests have their answer (or their failure) by now.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Asks no more, waits for what is under way, and tells how it went.
    ///
    /// # Errors
    /// When the load generator itself has failed.
    pub async fn stop(self) -> anyhow::Result<Report> {
        let _ = self.stop.send(true);
        let asked_for = self.started.elapsed();
        let samples = self.driver.await.context("the load generator panicked")?;
        Ok(Report::new(samples, asked_for, self.people.created()))
    }
}

#[derive(Clone)]
struct Asking {
    api: Arc<Api>,
    people: Arc<People>,
    answered: Arc<AtomicU64>,
    started: Instant,
}

/// Begins request number n at n / rps seconds after the start.
async fn drive(asking: Asking, rps: f64, mix: Mix, mut stopped: watch::Receiver<bool>) -> Vec<Sample> {
    let places = Arc::new(Semaphore::new(PLACES));
    let mut requests = JoinSet::new();
    let mut samples = Vec::new();
    for number in 0_u32.. {
        let intended = asking.started + Duration::from_secs_f64(f64::from(number) / rps);
        tokio::select! {
            _ = stopped.changed() => break,
            () = sleep_until(intended) => {}
        }
        requests.spawn(ask(asking.clone(), mix.choose(), intended, places.clone()));
        while let Some(done) = requests.try_join_next() {
            samples.extend(done);
        }
    }
    while let Some(done) = requests.join_next().await {
        samples.extend(done);
    }
    samples
}

async fn ask(asking: Asking, operation: Operation, intended: Instant, places: Arc<Semaphore>) -> Sample {
    // The semaphore is never closed.
    let _place = places.acquire_owned().await;
    let outcome = asking.people.ask(&asking.api, operation).await;
    asking.answered.fetch_add(1, Ordering::Relaxed);
    Sample {
        operation,
        intended: intended - asking.started,
        took: intended.elapsed(),
        outcome,
    }
}
