#![doc = include_str!("../README.md")]

pub mod authority;
pub mod broker;
pub mod daemon;
pub mod discovery;
pub mod load_balancer;
pub mod postgres;
pub mod task;
