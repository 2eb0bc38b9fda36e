//! The context of a test, here and in the crates above.

use std::path::Path;

use crate::context::{Config, Context};
use crate::store::Store;

/// Creates a context without services, with its state in an existing folder and the loopback addresses 127.`octet`.0.0/16.
///
/// # Panics
/// If the state cannot be created.
pub fn context_in(folder: &Path, octet: u8) -> Context {
    let store = Store::open(&folder.join("state.redb"), &[]).expect("a state file");
    let config = Config {
        port: 0,
        state_dir: folder.to_owned(),
        loopback_octet: octet,
        region: "us-east-1".into(),
        broker: None,
        behavior: crate::Behavior::default(),
    };
    Context::new(config, store).expect("a context")
}

/// Creates a context without services; its state is in the folder.
///
/// # Panics
/// If the state cannot be created.
#[cfg(test)]
pub fn context() -> (Context, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (context_in(folder.path(), 77), folder)
}
