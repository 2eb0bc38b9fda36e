//! The AWS services: each module has the operations and the resource types of one service.

use std::sync::Arc;

pub use endpoint_core::Call;

use crate::Service;

mod autoscaling;
pub mod cloudformation;
mod cloudwatch;
mod ec2;
pub(crate) mod ecr;
pub(crate) mod ecs;
mod elbv2;
mod iam;
mod input;
mod kafka;
mod kms;
mod logs;
pub mod rds;
mod route53;
pub(crate) mod s3;
mod secretsmanager;
mod servicediscovery;
mod servicequotas;
pub(crate) mod ses;
mod sns;
pub mod ssm;
mod sts;
mod supervisor;
#[cfg(test)]
mod testing;
mod wildcard;

/// Returns the services of the endpoint in the order in which they start: a service comes after those that it uses.
pub fn all() -> Vec<Arc<dyn Service>> {
    vec![
        ec2::service(),
        iam::service(),
        sts::service(),
        ssm::service(),
        kms::service(),
        servicequotas::service(),
        s3::service(),
        sns::service(),
        secretsmanager::service(),
        ses::service(),
        logs::service(),
        ecr::service(),
        cloudwatch::service(),
        autoscaling::service(),
        rds::service(),
        kafka::service(),
        servicediscovery::service(),
        elbv2::service(),
        route53::service(),
        ecs::service(),
        cloudformation::service(),
    ]
}
