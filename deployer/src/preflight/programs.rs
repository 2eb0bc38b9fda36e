//! The check of the programs that this user's embedded endpoint runs: without them, a stack would fail after others were created.

use aws::EndpointKind;
use platform::stacks::Stack;

use super::{PreflightFinding, Problem, fatal, resources};
use crate::context::Session;
use crate::embedded;

/// Checks PostgreSQL and the Kafka broker, if the new stacks have databases and clusters.
pub fn check(session: &Session, aws: &aws::Session, new: &[&Stack]) -> Vec<PreflightFinding> {
    if aws.endpoint().kind != EndpointKind::Embedded || embedded::pid(&session.state_dir()).is_none() {
        return Vec::new();
    }
    let has = |kind: &str| resources(new, kind).next().is_some();
    let postgres = has("AWS::RDS::DBInstance")
        .then(|| embedded::postgres_version().err())
        .flatten();
    let broker = has("AWS::MSK::Cluster")
        .then(|| embedded::broker(session.common.broker.as_deref()).err())
        .flatten();
    let postgres = postgres.map(|error| {
        fatal(Problem::NoPostgres {
            reason: format!("{error:#}"),
        })
    });
    let broker = broker.map(|error| {
        fatal(Problem::NoBroker {
            reason: format!("{error:#}"),
        })
    });
    postgres.into_iter().chain(broker).collect()
}
