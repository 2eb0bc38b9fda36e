//! `scripts/load`: asks a running system at a steady rate and tells what its users would wait.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use end_to_end::load::{Load, Login, Mix};
use http::Uri;

/// Asks a running system at a steady rate, and tells what its users would wait
///
/// The load is open: a request starts when it was meant to, however slow the answers are, and its time is counted from
/// then. The patients that it creates are deleted in the end, where the user is an ADMIN. Exit code 0 when every answer
/// was the one that the API promises, 1 otherwise.
#[derive(Parser)]
#[command(name = "load")]
struct Args {
    /// Public address of the system
    #[arg(default_value = "http://localhost:8080")]
    url: Uri,
    /// Requests a second; the gateway lets one user make 200
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    rps: f64,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Operations and their weights: list, search, read, create, update, login, validate, billing, analytics,
    /// notifications
    #[arg(long, default_value = Mix::DEFAULT)]
    mix: Mix,
    /// Leave the created patients
    #[arg(long)]
    keep: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Who asks; the password is LOAD_PASSWORD in the environment, that of the demo when unset
    #[arg(long, env = "LOAD_EMAIL", default_value = "testuser@test.com")]
    email: String,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match (0.1..=100_000.0).contains(&rate) {
        true => Ok(rate),
        false => Err("must be between 0.1 and 100000".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let password = std::env::var("LOAD_PASSWORD").unwrap_or_else(|_| "password123".to_owned());
    let load = Load {
        base: args.url,
        login: Login {
            email: args.email,
            password: password.into(),
        },
        rps: args.rps,
        mix: args.mix,
    };
    eprintln!("{} requests a second for {} s: {}", load.rps, args.seconds, load.mix);
    match load.run(Duration::from_secs(args.seconds), args.keep).await {
        Ok(report) => {
            match args.json {
                true => println!("{}", report.json()),
                false => print!("{report}"),
            }
            match report.failed() {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
