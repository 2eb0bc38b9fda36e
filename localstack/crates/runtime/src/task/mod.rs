//! Containers as processes: started from an image's unpacked layers, monitored, adopted after a restart, and stopped.
//!
//! A container is two processes. The supervisor (`__task`, the endpoint's own binary) creates the namespaces, waits, and writes
//! the exit status to a file, so that it is known even if the endpoint was not running at the time. The inner process is the
//! first one of its process namespace: it builds the root, changes to the image's user, and executes the image's command.
//! Containers survive the endpoint, which finds them again by pid and start time.

pub mod identity;
mod init;
pub mod launch_request;
pub mod memory;
pub mod output;
pub mod process;
mod reaper;
mod root;
pub mod settings;
mod user;

pub use identity::Identity;
pub use init::{ARGUMENT, init_main};
pub use launch_request::{Exec, ExitStatus, LaunchRequest, Run};
pub use root::{RDS_CA_BUNDLE, SYSTEM_CA_BUNDLES, is_regular_file};
pub use settings::{Limit, Settings, VolumeMount};
pub use user::resolve as user_of;
