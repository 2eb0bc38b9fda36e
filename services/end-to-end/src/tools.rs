//! What a system is started with: the services' binaries, our scripts and their tools.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::Service;

/// The command that runs one of our scripts.
pub(crate) fn script<S: Into<String>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name);
    std::iter::once(path.display().to_string())
        .chain(arguments.into_iter().map(Into::into))
        .collect()
}

/// The environment of the tools that the scripts use.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let names = ["PATH", "HOME", "JAVA_HOME", "KAFKA_HOME", "XDG_DATA_HOME"];
    let set = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    names.into_iter().filter_map(set).collect()
}

/// The service's binary, which cargo puts beside the folder of a test's own, and beside our own programs.
pub(crate) fn binary(service: Service) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let mut places = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(service.name()));
    let found = places.find(|place| place.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{} is not built: cargo build --release --locked --workspace --bins",
            service.name()
        )
    })
}
