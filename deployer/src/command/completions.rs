//! `deployer completions`: for the shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::Result;

/// Print a completion script, such as for `source <(deployer completions bash)`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer completions bash > ~/.local/share/bash-completion/completions/deployer
  deployer completions zsh > ~/.zfunc/_deployer
  source <(deployer completions bash)    in this shell alone

Exit codes: 0 printed; 1 no such shell.")]
pub struct Args {
    shell: Shell,
}

pub fn run(args: Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "deployer", &mut script);
    // A reader that has gone (`| head`) is no error.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    Ok(())
}
