//! What the brokers are told.

/// Replicas of a topic: one on each broker, three at most.
pub fn replicas(brokers: u16) -> u16 {
    brokers.clamp(1, 3)
}

/// How many replicas must have a write before it counts: all but one, so that one broker may be away. With two replicas
/// that is one: two would stop every write whenever a broker is patched.
pub fn in_sync(brokers: u16) -> u16 {
    (replicas(brokers) - 1).max(1)
}

/// `server.properties` of the cluster's configuration (Amazon MSK Developer Guide, "Custom MSK configurations"; its own
/// defaults elect unclean leaders, which lose what was acknowledged).
pub fn server(brokers: u16) -> String {
    let (replicas, in_sync) = (replicas(brokers), in_sync(brokers));
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
