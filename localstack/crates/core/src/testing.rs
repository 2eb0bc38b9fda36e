//! The context of a test.

use tempfile::TempDir;

use crate::context::{Config, Context};
use crate::store::Store;

/// Creates a context without services; its state is in the folder.
pub fn context() -> (Context, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state.redb"), &[]).unwrap();
    let config = Config {
        port: 0,
        state_dir: folder.path().to_owned(),
        loopback_octet: 77,
        region: "us-east-1".into(),
        broker: None,
        behavior: crate::Behavior::default(),
    };
    (Context::new(config, store).unwrap(), folder)
}
