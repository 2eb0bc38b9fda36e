//! `scripts/load`: sends requests to a running system at a steady rate and prints latency percentiles.

use std::{process::ExitCode, time::Duration};

use anyhow::ensure;
use clap::Parser;
use end_to_end::load::{Load, Login, Mix};
use http::Uri;

/// Send requests to a running system at a steady rate, and print latency percentiles
///
/// The load is open-loop: a request starts at its intended time, however slow the responses are, and its latency is
/// measured from then. The created patients are deleted at the end, if the user is an ADMIN. Exits 0 if every response
/// matched the API's contract, 1 otherwise.
#[derive(Parser)]
#[command(name = "load")]
struct Args {
    /// Public address of the system
    #[arg(default_value = "http://localhost:8080")]
    url: Uri,
    /// Requests per second; the gateway allows 200 for one user
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    rps: f64,
    /// Duration in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Operations and their weights: list, search, read, create, update, login, validate, billing, analytics,
    /// notifications
    #[arg(long, default_value = Mix::DEFAULT)]
    mix: Mix,
    /// Keep the created patients
    #[arg(long)]
    keep: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Email address of the user; the password is the environment variable `LOAD_PASSWORD`, by default that of the demo data
    #[arg(long, env = "LOAD_EMAIL", default_value = "testuser@test.com")]
    email: String,
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    ensure!((0.1..=100_000.0).contains(&rate), "must be between 0.1 and 100000");
    Ok(rate)
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
    eprintln!("{} requests per second for {} s: {}", load.rps, args.seconds, load.mix);
    match load.run(Duration::from_secs(args.seconds), args.keep).await {
        Ok(report) => {
            if args.json {
                println!("{}", report.json());
            } else {
                print!("{report}");
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
