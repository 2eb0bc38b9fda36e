//! `deployer images`: the images of the services, built without a Docker daemon.

mod build;
mod list;
mod load;
pub mod pack;
mod push;
pub mod send;

use crate::context::Session;
use crate::error::{ArgumentError, Named, Result};
use platform::stacks::{Image, Plan};
use ui::Event;

/// Build the images of the services, push them to a registry, or load them into a Docker Engine; without a subcommand, list them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer images                              list built and deployed images
  deployer images build
  deployer images push auth-service --registry ghcr.io/me
  deployer images load                         into the Docker Engine of this machine

Exit codes: 0 done; 1 error, or no endpoint; 3 credentials or permission.")]
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

/// A selection of services.
#[derive(Debug, clap::Args)]
struct Services {
    /// Only these services [default: all].
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

impl Services {
    /// Returns the images of the selected services.
    fn of(&self, plan: &Plan) -> Result<Vec<Image>, ArgumentError> {
        let known = || plan.images.iter().map(|image| image.service.as_str());
        if let Some(other) = self.services.iter().find(|name| !known().any(|known| known == *name)) {
            return Err(ArgumentError::unknown(Named::Image, other, known()));
        }
        let selected = |image: &&Image| self.services.is_empty() || self.services.contains(&image.service);
        Ok(plan.images.iter().filter(selected).cloned().collect())
    }
}

/// A text that is not a tag (OCI Distribution Specification: Pull).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag has at most 128 characters of a-z, A-Z, 0-9, '_', '.' and '-', and does not begin with '.' or '-'")]
struct InvalidTag;

/// Parses a tag of an image.
fn tag(text: &str) -> Result<String, InvalidTag> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if starts && text.len() <= 128 && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(InvalidTag)
    }
}

/// Formats a size as registries show it.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn emit(session: &Session, service: &str, step: &'static str, detail: &str) {
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
    fn an_invalid_tag_is_rejected() {
        assert_eq!(tag("1.2.3-rc_1").as_deref(), Ok("1.2.3-rc_1"));
        for wrong in ["", "-x", "a/b", "a:b", "ä", &"x".repeat(129)] {
            assert_eq!(tag(wrong), Err(InvalidTag), "{wrong}");
        }
    }
}
