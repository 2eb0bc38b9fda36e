//! What an endpoint can do: who answers there, what is known of it, what it was asked, and how deployer gets by.
//!
//! AWS and the embedded endpoint do all that deployer asks. Of the others each lacks something else, so nothing here is
//! an `if` on a product: [`matrix`] says in one table what each lacks and what is done instead, [`unknown`] asks for the
//! resource types that it does not know, [`instead`] says of each type whether a platform can do without, [`fit`] takes
//! such resources out of a plan, and [`hollow`] looks afterwards whether what is complete exists.

mod credentials;
pub mod fit;
mod front;
pub mod hollow;
pub mod identity;
mod instead;
pub mod matrix;
mod unknown;

pub use fit::fit;
pub use identity::{Identity, Kind};
pub use matrix::Capability;

#[cfg(test)]
mod tests;
