//! What is asked, and how often.

use std::{fmt, str::FromStr};

use anyhow::{Context, bail, ensure};

/// One kind of request.
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
    /// One patient of this run, changed.
    Update,
    /// A login, which costs the system a password hash.
    Login,
    /// Whether the token holds.
    Validate,
    /// The billing account of one patient.
    Billing,
    /// The events of one patient.
    Analytics,
    /// The notifications of one patient.
    Notifications,
}

impl Operation {
    /// All of them, in the order of the report.
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

    /// The word for it in `--mix` and in the report.
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
    /// What `scripts/load` asks when nothing is said: mostly reading.
    pub const DEFAULT: &str = "list=30,search=15,read=35,create=10,update=10";

    /// One operation, as often as its weight says.
    pub(super) fn choose(&self) -> Operation {
        let total: u32 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut left = rand::random_range(0..total);
        for (operation, weight) in &self.0 {
            if left < *weight {
                return *operation;
            }
            left -= weight;
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
                bail!("there is no operation `{name}`; there are {known}");
            };
            let weight: u32 = weight
                .parse()
                .with_context(|| format!("`{weight}` is no weight of {name}"))?;
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
    fn a_mix_is_read_and_what_has_no_weight_is_never_asked() {
        let mix: Mix = "read=3, list, create=0".parse().expect("a mix");
        assert_eq!(mix.to_string(), "read=3,list=1");
        let asked: Vec<Operation> = (0..1000).map(|_| mix.choose()).collect();
        assert!(asked.contains(&Operation::List) && !asked.contains(&Operation::Create));
        assert!(asked.iter().filter(|operation| **operation == Operation::Read).count() > 500);
    }

    #[test]
    fn an_unknown_operation_is_refused_by_name() {
        let refusal = "list=1,explode=2".parse::<Mix>().expect_err("a refusal").to_string();
        assert!(refusal.contains("`explode`") && refusal.contains("search"), "{refusal}");
        assert!("list=0".parse::<Mix>().is_err());
    }
}
