//! Which traces that begin here are exported.

use std::sync::OnceLock;

static FRACTION: OnceLock<f64> = OnceLock::new();

/// Who decides whether a trace is exported; a caller's decision always wins ("parent based").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Sampler {
    /// Every trace that begins here
    #[default]
    #[value(name = "parentbased_always_on", alias = "always_on")]
    On,
    /// None that begins here
    #[value(name = "parentbased_always_off", alias = "always_off")]
    Off,
    /// The fraction that OTEL_TRACES_SAMPLER_ARG says, chosen by the trace's id
    #[value(name = "parentbased_traceidratio", alias = "traceidratio")]
    Ratio,
}

impl Sampler {
    /// The fraction of traces that are taken, from 0 to 1.
    pub(crate) fn fraction(self, ratio: f64) -> f64 {
        match self {
            Self::On => 1.0,
            Self::Off => 0.0,
            Self::Ratio => ratio.clamp(0.0, 1.0),
        }
    }
}

/// Sets the fraction of new traces that are taken; the first call counts.
pub(super) fn set(fraction: f64) {
    let _ = FRACTION.set(fraction);
}

/// Whether a new trace with this id is taken.
pub(super) fn takes(id: u128) -> bool {
    chosen(id, *FRACTION.get().unwrap_or(&1.0))
}

/// The id's last 63 bits are the die, so that every service throws the same.
fn chosen(id: u128, fraction: f64) -> bool {
    fraction >= 1.0 || ((id as u64 >> 1) as f64) < fraction * (1_u64 << 63) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_the_traces_is_taken_and_the_same_ids_each_time() {
        let taken = (0..4000).filter(|_| chosen(rand::random(), 0.25)).count();
        assert!((800..1200).contains(&taken), "{taken} of 4000 is not a quarter");
        assert!(chosen(0x10, 0.25) && chosen(0x10, 0.25) && !chosen(u128::MAX, 0.25));
        assert!((0..100).all(|_| chosen(rand::random(), Sampler::On.fraction(0.0))));
        assert!((0..100).all(|_| !chosen(rand::random(), Sampler::Off.fraction(1.0))));
    }
}
