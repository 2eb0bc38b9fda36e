//! `deployer images load`: builds, and loads into Docker.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::pack::pack;
use super::{Services, emit, tag};
use crate::context::Session;
use crate::error::{ArgumentError, Error, Result};
use crate::image::{self, BuiltImage};

/// Build the images of the services and load them into the Docker Engine, as PROJECT/SERVICE:TAG.
///
/// Uses the engine at `DOCKER_HOST` (unix://...) or /var/run/docker.sock. With --output it uses no engine: the archive is for
/// `docker load`, here or on another machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    services: Services,
    /// Write the archive to a file, or to stdout for `-`, instead of loading it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Tag of every image; docker-compose.yml expects the default.
    #[arg(long, default_value = "local", value_parser = tag)]
    tag: String,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if to_stdout && (session.ui.is_json() || std::io::stdout().is_terminal()) {
        return Err(ArgumentError::ArchiveOnTerminal.into());
    }
    let plan = session.plan()?;
    let animation = session.ui.animate();
    let packed = pack(&session.ui, args.services.of(&plan)?).await?;
    let named: Vec<(BuiltImage, String)> = packed
        .into_values()
        .map(|built| {
            let name = format!("{}/{}:{}", plan.project, built.service, args.tag);
            (built, name)
        })
        .collect();
    let names: Vec<String> = named.iter().map(|(_, name)| name.clone()).collect();
    let services: Vec<String> = named.iter().map(|(built, _)| built.service.clone()).collect();
    match args.output {
        None => {
            image::load(named).await?;
            for (service, name) in services.iter().zip(&names) {
                emit(session, service, "loaded", name);
            }
        }
        Some(path) => {
            let written = tokio::task::spawn_blocking(move || write(&named, &path));
            written.await.map_err(anyhow::Error::from)??;
        }
    }
    drop(animation);
    if to_stdout {
        return Ok(());
    }
    let values: Vec<_> = services
        .iter()
        .zip(&names)
        .map(|(service, name)| json!({ "service": service, "name": name }))
        .collect();
    session.ui.data("images", json!(values), &names.join("\n"));
    Ok(())
}

fn write(named: &[(BuiltImage, String)], path: &Path) -> Result<()> {
    let images: Vec<(&BuiltImage, String)> = named.iter().map(|(built, name)| (built, name.clone())).collect();
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        image::archive(&images, BufWriter::new(&mut out))?;
        return out.flush().map_err(Error::io("stdout"));
    }
    let file = File::create(path).map_err(Error::io(format!("cannot write {}", path.display())))?;
    Ok(image::archive(&images, BufWriter::new(file))?)
}
