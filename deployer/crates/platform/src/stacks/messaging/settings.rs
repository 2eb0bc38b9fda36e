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

/// Returns the properties that delete each message at most this many hours after it was written.
///
/// Kafka deletes whole segments, each when its newest message is older than the retention, and it writes to a segment until
/// the segment is full or old enough (Kafka: "log.roll.ms", "log.retention.ms"). So the oldest message of a segment is kept
/// for the sum of both, of which a seventh is the segment's age. MSK's own segments are a week old, like its retention:
/// messages would be kept for two weeks.
fn retention(hours: u32) -> String {
    let roll = (hours / 7).max(1);
    let milliseconds = |hours: u32| u64::from(hours) * 3_600_000;
    let (retention, roll) = (milliseconds(hours - roll), milliseconds(roll));
    format!("log.retention.ms={retention}\nlog.roll.ms={roll}\n")
}

/// Returns `server.properties` of the cluster (Amazon MSK Developer Guide, "Custom MSK configurations"; MSK's defaults elect
/// unclean leaders, which lose acknowledged writes).
pub fn server(brokers: u16, retention_hours: u32) -> String {
    let retention = retention(retention_hours);
    let (replicas, in_sync) = (replicas(brokers), min_in_sync(brokers));
    format!(
        "auto.create.topics.enable=false\n\
         default.replication.factor={replicas}\n\
         {retention}\
         min.insync.replicas={in_sync}\n\
         offsets.topic.replication.factor={replicas}\n\
         transaction.state.log.replication.factor={replicas}\n\
         transaction.state.log.min.isr={in_sync}\n\
         unclean.leader.election.enable=false\n"
    )
}
