//! Shape of `rollout` in `deployer.toml`, before its validation.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// A rollout: the name of its strategy, or a table with its steps.
#[derive(Debug, Clone, Copy)]
pub struct WrittenRollout {
    pub strategy: Strategy,
    pub percent: Option<u32>,
    pub step_minutes: Option<u32>,
    pub bake_minutes: Option<u32>,
}

/// The strategies of ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Tasks are replaced one after the other.
    Rolling,
    /// All requests move to the new tasks at once.
    BlueGreen,
    /// Requests move in equal steps.
    Linear,
    /// A part of the requests moves first, then the rest.
    Canary,
}

impl Strategy {
    /// Returns the name in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::BlueGreen => "blue-green",
            Self::Linear => "linear",
            Self::Canary => "canary",
        }
    }
}

/// Read by hand, as an error inside the table of an untagged enum would lose its reason.
impl<'de> Deserialize<'de> for WrittenRollout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            strategy: Strategy,
            percent: Option<u32>,
            step_minutes: Option<u32>,
            bake_minutes: Option<u32>,
        }
        struct RolloutVisitor;
        impl<'de> Visitor<'de> for RolloutVisitor {
            type Value = WrittenRollout;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a strategy, or a table { strategy, percent, step_minutes, bake_minutes }")
            }

            fn visit_str<E: de::Error>(self, strategy: &str) -> Result<WrittenRollout, E> {
                Ok(WrittenRollout {
                    strategy: Strategy::deserialize(StrDeserializer::<E>::new(strategy))?,
                    percent: None,
                    step_minutes: None,
                    bake_minutes: None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenRollout, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WrittenRollout {
                    strategy: table.strategy,
                    percent: table.percent,
                    step_minutes: table.step_minutes,
                    bake_minutes: table.bake_minutes,
                })
            }
        }
        deserializer.deserialize_any(RolloutVisitor)
    }
}
