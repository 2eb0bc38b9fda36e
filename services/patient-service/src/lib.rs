#![doc = include_str!("../README.md")]

pub mod app;
pub mod settings;

pub mod family;
pub mod patient;

pub mod billing;
pub mod calendar;
pub mod idempotency;
pub mod page;
pub mod seed;
