//! `deployer completions`: completion scripts for shells.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer completions bash > ~/.local/share/bash-completion/completions/deployer
  deployer completions zsh > ~/.zfunc/_deployer
  source <(deployer completions bash)    in this shell only

Exit codes: 0 printed; 1 no such shell.")]
pub struct Args {
    shell: Shell,
}

pub fn run(args: Args) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "deployer", &mut script);
    // A reader that has ended (`| head`) is not an error.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
}
