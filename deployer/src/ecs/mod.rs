//! The ECS side of a deployment: why tasks stop, whether services are steady, what they log.

pub mod crash;
pub mod diagnose;
pub mod follow;
pub mod hotswap;
pub mod last;
pub mod rollout;
pub mod serving;
pub mod stopped;
pub mod swapped;
pub mod tail;
pub mod version;

/// Cluster and service name from a service's ARN, `arn:…:service/CLUSTER/NAME`.
pub fn service_of(arn: &str) -> Option<(&str, &str)> {
    arn.rsplit_once(":service/")?.1.split_once('/')
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_service_arn_names_cluster_and_service() {
        let arn = "arn:aws:ecs:us-east-1:000000000000:service/house-dev/billing-service";
        assert_eq!(super::service_of(arn), Some(("house-dev", "billing-service")));
    }
}
