//! What was acknowledged, and whether all of it is true at the end.

/// Placeholder until the checker is here.
#[derive(Debug, Default)]
pub struct Ledger;
