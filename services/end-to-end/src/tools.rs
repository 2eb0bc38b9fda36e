//! The services' binaries, and the scripts that start PostgreSQL and Kafka.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::Service;

/// Returns the command of a script in `scripts/`.
pub(crate) fn script<S: Into<String>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name);
    std::iter::once(path.display().to_string())
        .chain(arguments.into_iter().map(Into::into))
        .collect()
}

/// Returns the environment of the scripts.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let names = ["PATH", "HOME", "JAVA_HOME", "KAFKA_HOME", "XDG_DATA_HOME"];
    let set = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    names.into_iter().filter_map(set).collect()
}

/// Returns the path of a service's binary, which is in the folder of this program or its parent.
pub(crate) fn binary(service: Service) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let mut candidates = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(service.name()));
    let found = candidates.find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{} is not built: cargo build --release --locked --workspace --bins",
            service.name()
        )
    })
}
