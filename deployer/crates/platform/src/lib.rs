#![doc = include_str!("../README.md")]

pub mod manifest;
pub mod suggest;

pub mod stacks;

pub mod lint;

pub mod critical_path;
pub mod permissions;
