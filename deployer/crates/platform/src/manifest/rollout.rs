//! Rollouts: the way in which a new version of a service replaces the running one.

use super::strategy::{Strategy, WrittenRollout};

/// Minutes of a step and of the time after the last one, if the manifest has none.
const DEFAULT_MINUTES: u32 = 5;
/// The first part of the requests, and that of each linear step, if the manifest has none.
const DEFAULT_PERCENT: u32 = 10;
/// The longest time of one step (Amazon ECS API: `CanaryConfiguration`, `LinearConfiguration`, `bakeTimeInMinutes`).
const MAX_MINUTES: u32 = 1440;
/// CloudFormation rejects a deployment whose steps take longer than 33 hours (`AWS::ECS::Service`: `CanaryConfiguration`).
const MAX_TOTAL_MINUTES: u32 = 33 * 60;

/// A rollout in steps that cannot be invalid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rollout {
    /// Tasks are replaced within the limits of minimum and maximum.
    #[default]
    Rolling,
    /// As many new tasks as old ones start beside them, and the load balancer shifts the requests.
    Shifting {
        /// The steps.
        steps: Steps,
        /// Minutes for which the old tasks run on after all requests have moved.
        bake_minutes: u32,
    },
}

/// The steps in which requests move to the new tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// All at once.
    BlueGreen,
    /// `percent` first, and the rest after `minutes`.
    Canary {
        /// 1 to 99.
        percent: u32,
        /// Minutes before the rest moves.
        minutes: u32,
    },
    /// `percent` more every `minutes`.
    Linear {
        /// 3 to 99.
        percent: u32,
        /// Minutes of each step.
        minutes: u32,
    },
}

/// The reason why a rollout is not valid.
#[derive(Debug, thiserror::Error)]
pub enum RolloutProblem {
    /// A setting of steps for a strategy without them.
    #[error("{key} is not of the strategy {strategy:?}; remove it, or set another strategy")]
    Key {
        /// The key in the table.
        key: &'static str,
        /// The strategy.
        strategy: &'static str,
    },
    /// A part of the requests that ECS does not shift.
    #[error("{percent} is not a percentage from {minimum} to 99; \"blue-green\" shifts all requests at once")]
    Percent {
        /// The percentage.
        percent: u32,
        /// The minimum of the strategy.
        minimum: u32,
    },
    /// A step longer than ECS accepts.
    #[error("{minutes} minutes are more than the {max} of one step")]
    Minutes {
        /// The minutes.
        minutes: u32,
        /// The maximum.
        max: u32,
    },
    /// Steps that take longer than CloudFormation waits.
    #[error("its steps take {minutes} minutes, and CloudFormation accepts {max}; use larger or shorter steps")]
    Total {
        /// The sum.
        minutes: u32,
        /// The maximum.
        max: u32,
    },
    /// Steps of a service without a load balancer.
    #[error(
        "{strategy:?} shifts requests in the load balancer, and only '{ingress}' is behind it; remove this, or set \"rolling\""
    )]
    WithoutLoadBalancer {
        /// The strategy.
        strategy: &'static str,
        /// The service behind the load balancer.
        ingress: String,
    },
    /// Steps of all services.
    #[error("{0:?} shifts requests in the load balancer: set it for the service of `ingress` alone, under services")]
    OfAll(&'static str),
}

impl Rollout {
    pub(super) fn parse(written: &WrittenRollout) -> Result<Self, RolloutProblem> {
        let strategy = written.strategy;
        let has_steps = matches!(strategy, Strategy::Canary | Strategy::Linear);
        for (key, value) in [("percent", written.percent), ("step_minutes", written.step_minutes)] {
            if value.is_some() && !has_steps {
                let strategy = strategy.as_str();
                return Err(RolloutProblem::Key { key, strategy });
            }
        }
        if strategy == Strategy::Rolling {
            let (key, strategy) = ("bake_minutes", strategy.as_str());
            return match written.bake_minutes {
                Some(_) => Err(RolloutProblem::Key { key, strategy }),
                None => Ok(Self::Rolling),
            };
        }
        let percent = written.percent.unwrap_or(DEFAULT_PERCENT);
        let minimum = if strategy == Strategy::Linear { 3 } else { 1 };
        if has_steps && !(minimum..=99).contains(&percent) {
            return Err(RolloutProblem::Percent { percent, minimum });
        }
        let minutes = written.step_minutes.unwrap_or(DEFAULT_MINUTES);
        let bake_minutes = written.bake_minutes.unwrap_or(DEFAULT_MINUTES);
        if let Some(minutes) = [minutes, bake_minutes]
            .into_iter()
            .find(|minutes| *minutes > MAX_MINUTES)
        {
            let max = MAX_MINUTES;
            return Err(RolloutProblem::Minutes { minutes, max });
        }
        let steps = match strategy {
            Strategy::Canary => Steps::Canary { percent, minutes },
            Strategy::Linear => Steps::Linear { percent, minutes },
            Strategy::Rolling | Strategy::BlueGreen => Steps::BlueGreen,
        };
        let rollout = Self::Shifting { steps, bake_minutes };
        match rollout.minutes() {
            minutes if minutes > MAX_TOTAL_MINUTES => Err(RolloutProblem::Total {
                minutes,
                max: MAX_TOTAL_MINUTES,
            }),
            _ => Ok(rollout),
        }
    }

    /// Returns true if requests move from old to new tasks in the load balancer.
    pub fn is_shifting(self) -> bool {
        self != Self::Rolling
    }

    /// Returns the minutes that the steps take besides starting and stopping tasks.
    pub fn minutes(self) -> u32 {
        let Self::Shifting { steps, bake_minutes } = self else {
            return 0;
        };
        bake_minutes
            + match steps {
                Steps::BlueGreen => 0,
                Steps::Canary { minutes, .. } => minutes,
                Steps::Linear { percent, minutes } => 100_u32.div_ceil(percent).saturating_sub(1) * minutes,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_linear_step_is_the_bake_time() {
        let linear = |percent| Rollout::Shifting {
            steps: Steps::Linear { percent, minutes: 3 },
            bake_minutes: 5,
        };
        assert_eq!([50, 34, 10].map(|percent| linear(percent).minutes()), [8, 11, 32]);
    }
}
