#![doc = include_str!("../README.md")]
//!
//! A template is read ([`template`], [`yaml`]), checked ([`validate`]) and ordered ([`graph`]); [`scope`] gives its
//! expressions values. [`stack`] is what is kept of a stack; [`engine`] runs one operation at a time on it, made of
//! [`deploy`], [`rollback`] and [`delete`]. [`change_set_preview`] says beforehand what an update would do. [`api`] is the API.

pub mod api;

pub use cfn::{references, yaml};

pub mod parameter;
pub mod template;

pub mod cidr;
pub mod dynamic;
pub mod graph;
pub mod scope;
pub mod validate;

pub mod change_set;
pub mod change_set_preview;
pub mod compare;
pub mod stack;

pub mod delete;
pub mod deploy;
pub mod drift;
pub mod engine;
mod outputs;
pub mod rollback;
