//! Two replicas of patient-service: one relays the outbox, and dies or lives on as a zombie.

use std::{sync::Arc, time::Duration};

use end_to_end::{Ledger, Options, Replica, Service, Service::Patient, System, Writers, eventually, until};

fn options() -> Options {
    // A request that went to a replica that hangs is given up soon.
    Options::default()
        .replicas(Patient, 2)
        .env(Service::Gateway, "UPSTREAM_TIMEOUT", "2")
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn when_the_leader_is_killed_the_other_replica_relays_in_order() {
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
    ledger.settle(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_leader_that_wakes_after_it_was_replaced_does_not_break_the_order() {
    let system = System::start(options()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    for _ in 0..2 {
        let zombie = leader(&system).await;
        zombie.pause();
        system.leave(&zombie);
        // What a failover or a network partition does: the lock's session is gone, and its holder does not know.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
        let ended = sqlx::query(end).bind(zombie.name());
        ended
            .execute(&system.database(Patient))
            .await
            .expect("the sessions end");
        other_leader(&system, &zombie).await;
        writers.acknowledged(40).await;
        zombie.resume();
        system.join(&zombie).await;
        writers.acknowledged(40).await;
        until("the replica to be ready again", Duration::from_secs(20), async || {
            zombie.is_ready().await
        })
        .await;
    }
    writers.stop().await;
    ledger.settle(&system).await;
}

/// The replica whose session holds the relay's lock.
async fn leader(system: &System) -> Arc<Replica> {
    eventually("a leader", Duration::from_secs(20), async || leading(system).await).await
}

async fn other_leader(system: &System, than: &Replica) -> Arc<Replica> {
    eventually("another leader", Duration::from_secs(20), async || {
        leading(system).await.filter(|leader| leader.name() != than.name())
    })
    .await
}

async fn leading(system: &System) -> Option<Arc<Replica>> {
    // kit::outbox: the lock is "outbox" in ASCII, 0x6f75_7462_6f78.
    let holder = "select application_name from pg_locks l join pg_stat_activity a using (pid)
                  where l.locktype = 'advisory' and l.granted and l.classid::bigint = x'6f75'::bigint
                    and l.objid::bigint = x'74626f78'::bigint";
    let holder: Option<String> = sqlx::query_scalar(holder)
        .fetch_optional(&system.database(Patient))
        .await
        .expect("the locks");
    let replicas = system.replicas(Patient).into_iter();
    replicas.into_iter().find(|replica| Some(replica.name()) == holder)
}
