#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod template;

pub mod schema;

pub mod diff;

pub mod references;
pub mod yaml;
