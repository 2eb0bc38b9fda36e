//! Two replicas of patient-service: the one that relays the outbox is killed, or paused and replaced.

use std::{sync::Arc, time::Duration};

use end_to_end::{Ledger, Options, Replica, Service, Service::Patient, System, Writers, wait_for, wait_until};

fn options() -> Options {
    // A request to a paused replica times out soon.
    Options::default()
        .replicas(Patient, 2)
        .env(Service::Gateway, "UPSTREAM_TIMEOUT", "2")
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn after_a_kill_of_the_leader_the_other_replica_relays_in_order() {
    let system = System::start(options()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    for _ in 0..2 {
        let leader = leader(&system).await;
        leader.kill9().await;
        let next = other_leader(&system, &leader).await;
        assert_ne!(leader.name(), next.name());
        writers.acknowledged(40).await;
        leader.restart().await;
    }
    writers.acknowledged(40).await;
    writers.stop().await;
    ledger.verify(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_paused_leader_that_was_replaced_does_not_break_the_order() {
    let system = System::start(options()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    for _ in 0..2 {
        let paused = leader(&system).await;
        paused.pause();
        system.detach(&paused);
        // As after a failover or a network partition: the session with the lock has ended without notice to its holder.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
        let ended = sqlx::query(end).bind(paused.name());
        ended
            .execute(&system.database(Patient))
            .await
            .expect("the end of the sessions");
        other_leader(&system, &paused).await;
        writers.acknowledged(40).await;
        paused.resume();
        system.attach(&paused).await;
        writers.acknowledged(40).await;
        wait_until("the replica to be ready again", Duration::from_secs(20), async || {
            paused.is_ready().await
        })
        .await;
    }
    writers.stop().await;
    ledger.verify(&system).await;
}

/// Waits for the replica whose session has the relay's lock.
async fn leader(system: &System) -> Arc<Replica> {
    wait_for("a leader", Duration::from_secs(20), async || leading(system).await).await
}

async fn other_leader(system: &System, than: &Replica) -> Arc<Replica> {
    wait_for("another leader", Duration::from_secs(20), async || {
        leading(system).await.filter(|leader| leader.name() != than.name())
    })
    .await
}

async fn leading(system: &System) -> Option<Arc<Replica>> {
    // The view has the locks of all databases, and other services relay too. kit::outbox: the lock is "outbox" in ASCII, 0x6f75_7462_6f78.
    let holder = "select application_name from pg_locks l join pg_stat_activity a using (pid)
                  where l.locktype = 'advisory' and l.granted and l.classid::bigint = x'6f75'::bigint
                    and l.objid::bigint = x'74626f78'::bigint
                    and l.database = (select oid from pg_database where datname = current_database())";
    let holder: Option<String> = sqlx::query_scalar(holder)
        .fetch_optional(&system.database(Patient))
        .await
        .expect("the locks");
    let replicas = system.replicas(Patient).into_iter();
    replicas.into_iter().find(|replica| Some(replica.name()) == holder)
}
