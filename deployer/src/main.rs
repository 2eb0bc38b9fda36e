//! Parse, run, render the error, exit.

use std::process::ExitCode;

use clap::Parser;
use deployer::Cli;

fn main() -> ExitCode {
    // A task of the embedded endpoint starts by running this binary again, before any thread exists.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "__task") {
        deployer::run_task();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(deployer::run(cli));
            // A thread that still waits for an answer on the terminal must not keep the process.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
