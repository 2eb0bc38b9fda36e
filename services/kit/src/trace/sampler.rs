//! The setting `OTEL_TRACES_SAMPLER`.

use opentelemetry_sdk::trace::Sampler as SdkSampler;

/// Sampler of traces that start in this process; the decision of a caller takes precedence ("parent-based").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Sampler {
    /// Every trace
    #[default]
    #[value(name = "parentbased_always_on", alias = "always_on")]
    On,
    /// No trace
    #[value(name = "parentbased_always_off", alias = "always_off")]
    Off,
    /// The fraction `OTEL_TRACES_SAMPLER_ARG` of the traces, selected by trace id
    #[value(name = "parentbased_traceidratio", alias = "traceidratio")]
    Ratio,
}

impl Sampler {
    /// Returns the sampler of the SDK; `ratio` is `OTEL_TRACES_SAMPLER_ARG`.
    pub(crate) fn build(self, ratio: f64) -> SdkSampler {
        let root = match self {
            Self::On => SdkSampler::AlwaysOn,
            Self::Off => SdkSampler::AlwaysOff,
            Self::Ratio => SdkSampler::TraceIdRatioBased(ratio),
        };
        SdkSampler::ParentBased(Box::new(root))
    }
}
