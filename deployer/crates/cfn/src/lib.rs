#![doc = include_str!("../README.md")]

pub mod template;

pub mod schema;

pub mod diff;

pub mod references;
pub mod yaml;
