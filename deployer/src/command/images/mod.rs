//! `deployer images`: the services' images, without a Docker daemon.

mod build;
mod list;
mod load;
pub mod pack;
mod push;
pub mod send;

use crate::error::{Error, Result};
use crate::stacks::{Image, Plan};
use crate::target::Session;
use ui::Event;

/// Build the services' images, push them to a registry, give them to a Docker Engine; without a word, list them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer images                              what is built and what runs, by digest
  deployer images build
  deployer images push auth-service --registry ghcr.io/me
  deployer images load                         into the Docker Engine of this machine

Exit codes: 0 done; 1 error, or nothing answers; 3 credentials or permission.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Ls(list::Args),
    Build(build::Args),
    Push(push::Args),
    Load(load::Args),
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    match args.command.unwrap_or(Command::Ls(list::Args {})) {
        Command::Ls(args) => list::run(args, session).await,
        Command::Build(args) => build::run(args, session).await,
        Command::Push(args) => push::run(args, session).await,
        Command::Load(args) => load::run(args, session).await,
    }
}

/// The services that a person named; all when none was.
#[derive(Debug, clap::Args)]
struct Services {
    /// The services whose images are meant; all unless given.
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

impl Services {
    fn of(&self, plan: &Plan) -> Result<Vec<Image>> {
        let known = || plan.images.iter().map(|image| image.service.as_str());
        if let Some(other) = self.services.iter().find(|name| !known().any(|known| known == *name)) {
            let known: Vec<&str> = known().collect();
            return Err(Error::Usage(format!(
                "no image is built for '{other}'; there are {}",
                known.join(", ")
            )));
        }
        let wanted = |image: &&Image| self.services.is_empty() || self.services.contains(&image.service);
        Ok(plan.images.iter().filter(wanted).cloned().collect())
    }
}

/// A name that an image can have in a registry or an engine.
fn tag(text: &str) -> std::result::Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if starts && text.len() <= 128 && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a tag is at most 128 letters, digits, '_', '.' and '-', and begins with none of the last two".into())
    }
}

/// A size as registries show it.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn tell(session: &Session, service: &str, step: &'static str, detail: &str) {
    session.ui.emit(Event::Image {
        service: service.to_owned(),
        step,
        detail: detail.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_no_registry_takes_is_refused() {
        assert!(tag("1.2.3-rc_1").is_ok());
        for wrong in ["", "-x", "a/b", "a:b", "ä", &"x".repeat(129)] {
            assert!(tag(wrong).is_err(), "{wrong}");
        }
    }
}
