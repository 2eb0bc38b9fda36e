//! One AWS service a file: its operations and its resource types.

use std::sync::Arc;

pub use endpoint_core::Call;

use crate::Service;

pub mod autoscaling;
pub mod cloudformation;
pub mod cloudwatch;
pub mod ec2;
pub mod ecr;
pub mod ecs;
pub mod elbv2;
pub mod iam;
pub mod kafka;
pub mod kms;
pub mod logs;
pub mod rds;
pub mod s3;
pub mod secretsmanager;
pub mod servicediscovery;
pub mod sns;
pub mod ssm;
pub mod sts;
mod supervisor;
#[cfg(test)]
pub(crate) mod testing;
mod wildcard;

/// Every service of the endpoint, in the order in which they start.
///
/// ec2, iam, sts, ssm, kms, s3, sns, secretsmanager, logs, ecr, monitoring, application-autoscaling, rds, kafka,
/// servicediscovery, elasticloadbalancing, ecs, cloudformation: what others need comes first.
pub fn all() -> Vec<Arc<dyn Service>> {
    vec![
        ec2::service(),
        iam::service(),
        sts::service(),
        ssm::service(),
        kms::service(),
        s3::service(),
        sns::service(),
        secretsmanager::service(),
        logs::service(),
        ecr::service(),
        cloudwatch::service(),
        autoscaling::service(),
        rds::service(),
        kafka::service(),
        servicediscovery::service(),
        elbv2::service(),
        ecs::service(),
        cloudformation::service(),
    ]
}
