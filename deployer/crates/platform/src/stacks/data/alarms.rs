//! Alarms of a database: storage, CPU, connections, CPU credits.

use serde_json::{Value, json};

use crate::manifest::Database;
use crate::stacks::alarms::{Alarm, Comparison};
use cfn::template::{Handle, Template, logical_id};

const GIB: f64 = 1_073_741_824.0;

/// Adds the alarms of a database, which publish to `topic`.
pub fn add(template: &mut Template, database: &Database, instance: &Handle, topic: &Value) {
    let dimensions = json!([{ "Name": "DBInstanceIdentifier", "Value": instance.reference() }]);
    let key = &database.key;
    let mut alarms = vec![
        (
            "Storage",
            format!("{key}: less than 15 % of the initial storage is free"),
            "FreeStorageSpace",
            f64::from(database.storage_gib) * GIB * 0.15,
            Comparison::Below,
        ),
        (
            "Cpu",
            format!("{key}: CPU has been over 85 % for 15 minutes"),
            "CPUUtilization",
            85.0,
            Comparison::Above,
        ),
    ];
    if let Some(max) = max_connections(&database.instance_class) {
        let description = format!("{key}: more than 80 % of max_connections are open");
        alarms.push((
            "Connections",
            description,
            "DatabaseConnections",
            (max * 0.8).floor(),
            Comparison::Above,
        ));
    }
    if is_burstable(&database.instance_class) {
        // RDS runs T3 and T4g classes in unlimited mode: a new instance starts with a balance of 0, and an instance without
        // credits is charged rather than slowed down (Amazon RDS User Guide: "DB instance class types").
        let description = format!("{key}: surplus CPU credits are charged; a larger class costs less under this load");
        alarms.push((
            "Credits",
            description,
            "CPUSurplusCreditsCharged",
            0.0,
            Comparison::Above,
        ));
    }
    for (id, description, metric, threshold, comparison) in alarms {
        let alarm = Alarm {
            description,
            namespace: "AWS/RDS".into(),
            metric,
            dimensions: dimensions.clone(),
            statistic: "Average",
            threshold,
            comparison,
            period: 300,
            periods: 3,
        };
        let id = logical_id(&[key, "Database", id, "Alarm"]);
        template.add(id, alarm.resource(Some(topic)));
    }
}

/// Returns RDS' default of `max_connections`: one for each 9,531,392 bytes of the instance's memory, 5,000 at most (Amazon
/// RDS User Guide, "Quotas and constraints"); `None` for a class whose memory is not known here.
fn max_connections(class: &str) -> Option<f64> {
    let (family, size) = class.strip_prefix("db.")?.split_once('.')?;
    let large = match family.chars().next()? {
        'm' | 't' => 8.0,
        'r' => 16.0,
        _ => return None,
    };
    let times = match size {
        "micro" => 1.0 / 8.0,
        "small" => 1.0 / 4.0,
        "medium" => 1.0 / 2.0,
        "large" => 1.0,
        "xlarge" => 2.0,
        other => 2.0 * other.strip_suffix("xlarge")?.parse::<f64>().ok()?,
    };
    Some((large * times * GIB / 9_531_392.0).min(5_000.0))
}

fn is_burstable(class: &str) -> bool {
    class.starts_with("db.t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_from_the_memory_of_the_class() {
        let max = |class| max_connections(class).map(f64::floor);
        assert_eq!(max("db.t4g.micro"), Some(112.0));
        assert_eq!(max("db.m7g.large"), Some(901.0));
        assert_eq!(max("db.r7g.2xlarge"), Some(5_000.0));
        assert_eq!(max("db.x2g.large"), None);
    }
}
