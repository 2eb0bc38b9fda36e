//! Containers as processes: started from an image's unpacked layers, watched, adopted, and ended.
//!
//! A container is two processes. The outer one (`__task`, this very binary) makes the namespaces, waits, and writes the
//! outcome to a file, so that an exit code is known even when the endpoint was gone at the time. The inner one is the
//! first process of its own process namespace: it builds the root, drops to the image's user, and becomes the image's
//! command. Nothing here is told to die with the endpoint: tasks survive it and are found again by pid and start time.

pub mod identity;
mod init;
pub mod order;
pub mod output;
pub mod process;
mod reaper;
mod root;
mod user;

pub use identity::Identity;
pub use init::{ARGUMENT, init_main};
pub use order::{Exec, Order, Outcome, Run};
pub use root::{OF_DATABASES, OF_THE_SYSTEM, is_file_itself};
