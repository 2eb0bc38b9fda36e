//! Clients that write continuously.

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle, time::sleep};
use uuid::Uuid;

use crate::{Client, Ledger, a_patient, wait_until};

/// Tasks that create, change and delete patients, and retry what is not acknowledged, until they are stopped.
#[derive(Debug)]
pub struct Writers {
    ledger: Ledger,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts `count` tasks.
    pub fn start(ledger: &Ledger, client: &Client, count: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let write = |_| tokio::spawn(write(ledger.clone(), client.clone(), stopped.clone()));
        Self {
            ledger: ledger.clone(),
            tasks: (0..count).map(write).collect(),
            stop,
        }
    }

    /// Waits until this many further writes are acknowledged.
    ///
    /// # Panics
    /// If they are not within 40 s.
    pub async fn acknowledged(&self, more: usize) {
        let goal = self.ledger.writes() + more;
        let what = format!(
            "{more} more acknowledged writes (so far not: {:?})",
            self.ledger.failures()
        );
        wait_until(&what, Duration::from_secs(40), async || self.ledger.writes() >= goal).await;
    }

    /// Stops the tasks; writes in progress stay unacknowledged.
    ///
    /// # Panics
    /// If a writer did.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("a writer that does not panic");
        }
    }
}

/// Creates one patient after another, changes each twice, and deletes every third.
async fn write(ledger: Ledger, client: Client, stopped: watch::Receiver<bool>) {
    let mut patients: u32 = 0;
    while !*stopped.borrow() {
        patients += 1;
        let (patient, key) = (a_patient(), Uuid::new_v4().to_string());
        let id = loop {
            if let Some(id) = ledger.create_as(&client, &patient, &key).await {
                break id;
            }
            if is_stopped(&stopped).await {
                return;
            }
        };
        for _ in 0..2 {
            while !ledger.update(&client, id).await && !is_stopped(&stopped).await {}
        }
        if patients.is_multiple_of(3) {
            while !ledger.delete(&client, id).await && !is_stopped(&stopped).await {}
        }
        sleep(Duration::from_millis(40)).await;
    }
}

/// Returns whether the writers were stopped; otherwise pauses before the next attempt.
async fn is_stopped(stopped: &watch::Receiver<bool>) -> bool {
    if *stopped.borrow() {
        return true;
    }
    sleep(Duration::from_millis(100)).await;
    false
}
