#![doc = include_str!("../README.md")]

pub mod daemon;

pub mod postgres;

pub mod broker;

pub mod task;

pub mod load_balancer;

pub mod discovery;

pub mod certificate_authority;
