//! The only room that calls CloudFormation: stacks, change sets, events, failures, drift.

pub mod apply;
pub mod change;
pub mod delete;
pub mod drift;
pub mod failure;
pub mod handover;
pub mod history;
pub mod holdings;
pub mod patience;
pub mod protection;
pub mod settle;
pub mod stack;
pub mod status;
pub mod watch;

#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use stack::Existing;
