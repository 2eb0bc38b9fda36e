//! The build of all images: one compilation, then one image for each binary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::image::{self, Architecture, BuiltImage, CompileProgress};
use platform::stacks::Image;
use ui::{Event, Ui};

/// Builds the image of each service, in its OCI layout.
///
/// # Errors
/// The crates do not compile, or an image cannot be written.
pub async fn pack(ui: &Ui, images: Vec<Image>) -> Result<BTreeMap<String, BuiltImage>> {
    let mut packed = BTreeMap::new();
    let Some(first) = images.first() else { return Ok(packed) };
    let packages: BTreeSet<&str> = images.iter().map(|image| image.package.as_str()).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    let (binaries, mut provenance) = tokio::join!(compile(ui, &images), image::provenance(&first.workspace, &packages));
    let binaries = binaries?;
    let mut tasks = tokio::task::JoinSet::new();
    for image in images {
        let spec = image::spec(&image);
        let binary = binaries
            .get(&(spec.architecture, spec.package.clone()))
            .cloned()
            .unwrap_or_default();
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

/// Compiles the packages of the images, with one build for each architecture; returns the path of each binary.
async fn compile(ui: &Ui, images: &[Image]) -> Result<BTreeMap<(Architecture, String), PathBuf>> {
    let mut builds: BTreeMap<Architecture, BTreeSet<&str>> = BTreeMap::new();
    for one in images {
        builds
            .entry(image::architecture(one.architecture))
            .or_default()
            .insert(&one.package);
    }
    let mut binaries = BTreeMap::new();
    for (architecture, packages) in builds {
        let packages: Vec<&str> = packages.into_iter().collect();
        let on_progress = |progress: CompileProgress<'_>| match progress {
            // The only line of a build with nothing to do, which has no information.
            CompileProgress::Line(line) if line.trim_start().starts_with("Finished") => {}
            CompileProgress::Line(line) => ui.emit(Event::Compiler { line: line.to_owned() }),
            CompileProgress::Crates { finished, total } => ui.emit(Event::Compiling { finished, total }),
        };
        let compiled = image::compile(&images[0].workspace, &packages, architecture, on_progress).await?;
        binaries.extend(
            compiled
                .into_iter()
                .map(|(package, path)| ((architecture, package), path)),
        );
    }
    Ok(binaries)
}
