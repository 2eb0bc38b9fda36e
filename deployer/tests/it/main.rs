//! The CLI as a process: its exit codes, its `--json` events, and the files that it writes.
//!
//! Tests that deploy something are ignored; `scripts/test system`, `scripts/test images` and `scripts/test ministack` run them
//! by the names of their modules.

mod support;

// without an endpoint
mod cli;
mod unreachable;

// a small project, deployed to an embedded endpoint
mod bad_input;
mod destroy;
mod existing_network;
mod hotswap;
mod interrupt;
mod large_template;
mod lifecycle;
mod operate;
mod rollout;

// this repository's own platform
mod production;
mod restore;
mod system;
mod templates;

// other people's programs
mod images;
mod ministack;
