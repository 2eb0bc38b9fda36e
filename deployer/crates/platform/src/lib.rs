#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod manifest;
pub mod suggest;

pub mod stacks;

pub mod lint;

pub mod critical_path;
pub mod permissions;

#[cfg(test)]
mod testing;
