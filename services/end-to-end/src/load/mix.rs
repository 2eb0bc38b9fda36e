//! Operations and their weights.

use std::{fmt, str::FromStr};

use anyhow::{Context, bail, ensure};

/// A type of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// The first page of patients.
    List,
    /// Patients by a part of an email address.
    Search,
    /// One patient.
    Read,
    /// A new patient, under an `Idempotency-Key`.
    Create,
    /// A change of one patient of this run.
    Update,
    /// A login, which costs the system a password hash.
    Login,
    /// A validation of the token.
    Validate,
    /// The billing account of one patient.
    Billing,
    /// The events of one patient.
    Analytics,
    /// The notifications of one patient.
    Notifications,
}

impl Operation {
    /// Every operation, in the order of the report.
    pub const ALL: [Operation; 10] = [
        Operation::List,
        Operation::Search,
        Operation::Read,
        Operation::Create,
        Operation::Update,
        Operation::Login,
        Operation::Validate,
        Operation::Billing,
        Operation::Analytics,
        Operation::Notifications,
    ];

    /// Returns the name in `--mix` and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Operation::List => "list",
            Operation::Search => "search",
            Operation::Read => "read",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Login => "login",
            Operation::Validate => "validate",
            Operation::Billing => "billing",
            Operation::Analytics => "analytics",
            Operation::Notifications => "notifications",
        }
    }
}

/// Operations with their weights, such as `list=3,read=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix(Vec<(Operation, u32)>);

impl Mix {
    /// The default of `scripts/load`: mostly reads.
    pub const DEFAULT: &str = "list=30,search=15,read=35,create=10,update=10";

    /// Chooses an operation at random, by its weight.
    pub(super) fn choose(&self) -> Operation {
        let total: u32 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut offset = rand::random_range(0..total);
        for (operation, weight) in &self.0 {
            if offset < *weight {
                return *operation;
            }
            offset -= weight;
        }
        self.0[0].0
    }
}

impl FromStr for Mix {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Mix> {
        let mut parts = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let Some(operation) = Operation::ALL.into_iter().find(|operation| operation.name() == name) else {
                let known = Operation::ALL.map(Operation::name).join(", ");
                bail!("unknown operation `{name}`; the operations are {known}");
            };
            let weight: u32 = weight
                .parse()
                .with_context(|| format!("`{weight}` is not a weight of {name}"))?;
            ensure!(weight <= 1_000_000, "the weight of {name} is above 1000000");
            parts.push((operation, weight));
        }
        parts.retain(|(_, weight)| *weight > 0);
        ensure!(!parts.is_empty(), "the mix is empty; write it as {}", Mix::DEFAULT);
        Ok(Mix(parts))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(operation, weight)| format!("{}={weight}", operation.name()))
            .collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_parsed_and_an_operation_of_weight_zero_is_never_chosen() {
        let mix: Mix = "read=3, list, create=0".parse().expect("a mix");
        assert_eq!(mix.to_string(), "read=3,list=1");
        let chosen: Vec<Operation> = (0..1000).map(|_| mix.choose()).collect();
        assert!(chosen.contains(&Operation::List) && !chosen.contains(&Operation::Create));
        assert!(chosen.iter().filter(|operation| **operation == Operation::Read).count() > 500);
    }

    #[test]
    fn an_unknown_operation_is_rejected_by_name() {
        let rejection = "list=1,explode=2".parse::<Mix>().expect_err("a rejection").to_string();
        assert!(
            rejection.contains("`explode`") && rejection.contains("search"),
            "{rejection}"
        );
        assert!("list=0".parse::<Mix>().is_err());
    }
}
