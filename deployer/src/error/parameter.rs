//! Parameters without a value.

use aws::subnets::TooFewSubnets;

/// A parameter that has no value.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    #[error("stack {stack} needs the output {output} of stack {from}, which does not exist")]
    Output {
        stack: String,
        output: String,
        from: String,
    },
    #[error("{stack} needs {needed} availability zones that offer what it uses, and the region has fewer")]
    NoZone { stack: String, needed: usize },
    #[error(transparent)]
    Subnets(#[from] TooFewSubnets),
    #[error("no image of {service} is deployed yet")]
    Image { service: String },
    #[error("the Kafka cluster {cluster} has no {listener} brokers")]
    Brokers { cluster: String, listener: &'static str },
}
