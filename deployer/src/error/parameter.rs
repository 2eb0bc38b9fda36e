//! Parameters without a value.

/// A parameter that has no value.
#[derive(Debug, thiserror::Error)]
#[expect(
    clippy::enum_variant_names,
    reason = "each is something without which there is no value"
)]
pub enum ParameterError {
    #[error("stack {stack} needs the output {output} of stack {from}, which does not exist")]
    NoOutput {
        stack: String,
        output: String,
        from: String,
    },
    #[error("no image of {service} is deployed yet")]
    NoImage { service: String },
    #[error("the Kafka cluster {cluster} has no {listener} brokers")]
    NoBrokers { cluster: String, listener: &'static str },
}
