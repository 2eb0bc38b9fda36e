#![doc = include_str!("../README.md")]

pub mod api;
pub mod engine;
pub mod stack;

pub mod object_reader;

mod function_form;
mod parameter;
mod policy;
mod request_values;
mod rules;
mod template;
mod transform;
mod validate;

mod compare;
mod graph;

mod cidr;
mod conditions;
mod dynamic_reference;
mod exports;
mod expression;
mod scope;
mod stack_scope;

mod change_set;
mod change_set_preview;
mod drift;

mod delete;
mod deploy;
mod operation;
mod rollback;

use cfn::{references, yaml};
