//! Configuration of the brokers.

/// Returns the number of replicas of a topic: one on each broker, three at most.
pub fn replicas(brokers: u16) -> u16 {
    brokers.clamp(1, 3)
}

/// Returns `min.insync.replicas`: all replicas except one, so that one broker may be unavailable. With two replicas that is
/// one: two would stop every write while a broker is patched.
pub fn min_in_sync(brokers: u16) -> u16 {
    (replicas(brokers) - 1).max(1)
}

/// Returns `server.properties` of the cluster (Amazon MSK Developer Guide, "Custom MSK configurations"; MSK's defaults elect
/// unclean leaders, which lose acknowledged writes).
pub fn server(brokers: u16) -> String {
    let (replicas, in_sync) = (replicas(brokers), min_in_sync(brokers));
    format!(
        "auto.create.topics.enable=false\n\
         default.replication.factor={replicas}\n\
         min.insync.replicas={in_sync}\n\
         offsets.topic.replication.factor={replicas}\n\
         transaction.state.log.replication.factor={replicas}\n\
         transaction.state.log.min.isr={in_sync}\n\
         unclean.leader.election.enable=false\n"
    )
}
