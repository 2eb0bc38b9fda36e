//! The build of all images: one compilation, then one image for each binary.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::image::{self, BuiltImage, CompileProgress};
use platform::stacks::Image;
use ui::{Event, Ui};

/// Builds the image of each service, in its OCI layout.
///
/// # Errors
/// The crates do not compile, or an image cannot be written.
pub async fn pack(ui: &Ui, images: Vec<Image>) -> Result<BTreeMap<String, BuiltImage>> {
    let mut packed = BTreeMap::new();
    let Some(first) = images.first() else { return Ok(packed) };
    let mut packages: Vec<&str> = images.iter().map(|image| image.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    let compiled = image::compile(&first.workspace, &packages, |progress| match progress {
        // The only line of a build with nothing to do, which has no information.
        CompileProgress::Line(line) if line.trim_start().starts_with("Finished") => {}
        CompileProgress::Line(line) => ui.emit(Event::Compiler { line: line.to_owned() }),
        CompileProgress::Crates { finished, total } => ui.emit(Event::Compiling { finished, total }),
    });
    let (binaries, mut provenance) = tokio::join!(compiled, image::provenance(&first.workspace, &packages));
    let binaries = binaries?;
    let mut tasks = tokio::task::JoinSet::new();
    for image in images {
        let spec = image::spec(&image);
        let binary = binaries.get(&spec.package).cloned().unwrap_or_default();
        let known = provenance.entry(spec.package.clone()).or_default().clone();
        tasks.spawn_blocking(move || {
            let built = image::build(&spec, &binary, &known);
            (spec.service, built)
        });
    }
    while let Some(joined) = tasks.join_next().await {
        let (service, built) = joined.map_err(anyhow::Error::from)?;
        let built = built.map_err(|error| Error::image(&service, &error))?;
        packed.insert(service, built);
    }
    Ok(packed)
}
