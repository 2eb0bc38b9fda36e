//! The command line that every service has.

use std::{
    ffi::OsString,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::{
    aws::{self, IamArgs},
    telemetry::{self, TelemetryArgs},
};

/// Name, description and default ports of a service's binary.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Cli {
    /// The service's name.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// The default of `PORT`.
    pub port: u16,
    /// The environment variable that holds the port of `/health/live` and `/health/ready`, and its default.
    pub health_port: (&'static str, u16),
    /// Name and description of a subcommand of the service's own, if it has one.
    own_command: Option<(&'static str, &'static str)>,
}

impl Cli {
    /// Creates the command line of a service with the health checks on its own port.
    pub const fn new(name: &'static str, about: &'static str, port: u16) -> Self {
        Self {
            name,
            about,
            port,
            health_port: ("PORT", port),
            own_command: None,
        }
    }

    /// Moves the health checks to another port, which the variable `env` overrides.
    pub const fn health_on(self, env: &'static str, port: u16) -> Self {
        Self {
            health_port: (env, port),
            ..self
        }
    }

    /// Adds a subcommand with the settings of the service.
    pub const fn subcommand(self, name: &'static str, about: &'static str) -> Self {
        Self {
            own_command: Some((name, about)),
            ..self
        }
    }

    /// Reads the settings from the command line and the environment; the subcommand `health` probes the service and exits.
    pub fn parse<A: Args>(self) -> A {
        self.parse_command().1
    }

    /// Reads the settings as [`Cli::parse`] does, and returns true if the service's own subcommand was given.
    pub fn parse_command<A: Args>(self) -> (bool, A) {
        self.parse_from(std::env::args_os())
            .unwrap_or_else(|error| error.exit())
    }

    fn parse_from<A: Args>(self, arguments: impl IntoIterator<Item = OsString>) -> Result<(bool, A), clap::Error> {
        let matches = self.command::<A>().try_get_matches_from(arguments)?;
        let (name, settings) = match matches.subcommand() {
            Some(("health", health)) => std::process::exit(probe(health)),
            Some((name, settings)) => (name, settings),
            None => ("serve", &matches),
        };
        telemetry::configure(TelemetryArgs::from_arg_matches(settings)?);
        if uses_aws(&self.command::<A>()) {
            aws::configure(IamArgs::from_arg_matches(settings)?);
        }
        A::from_arg_matches(settings).map(|settings| (name != "serve", settings))
    }

    fn command<A: Args>(self) -> Command {
        let serve = |command: Command| {
            let port = text(self.port);
            // The doc comment of the settings is for readers of the code; `--help` shows the service's description.
            let about = command.get_about().cloned().unwrap_or_default();
            let command = A::augment_args(command);
            let command = if uses_aws(&command) {
                IamArgs::augment_args(command)
            } else {
                command
            };
            let command = TelemetryArgs::augment_args(command).about(about).long_about(None);
            if command.get_arguments().any(|argument| argument.get_id() == "port") {
                command.mut_arg("port", |argument| argument.default_value(port))
            } else {
                command
            }
        };
        let (env, port) = self.health_port;
        let health = Command::new("health")
            .about("Check whether the running service responds; exit code 0 if it does, 1 otherwise")
            .long_about(
                "Check whether the running service responds (/health/live), as the container's health check does: a process \
                 that waits for its database must not be replaced for that. With --ready, check whether it can serve \
                 requests (/health/ready). The exit code is 0 if so, 1 otherwise.",
            )
            .arg(
                Arg::new("ready")
                    .long("ready")
                    .action(ArgAction::SetTrue)
                    .help("Check readiness: the service's own dependencies, such as its database, respond too"),
            )
            .arg(
                Arg::new("host")
                    .long("host")
                    .env("HOST")
                    .default_value("127.0.0.1")
                    .value_parser(value_parser!(IpAddr))
                    .help("Address that the service binds"),
            )
            .arg(
                Arg::new("port")
                    .long("port")
                    .env(env)
                    .default_value(text(port))
                    .value_parser(value_parser!(u16))
                    .help("Port of the health checks"),
            );
        let command = Command::new(self.name)
            .about(self.about)
            .version(env!("CARGO_PKG_VERSION"));
        serve(command)
            .args_conflicts_with_subcommands(true)
            .subcommand(serve(Command::new("serve").about("Serve until SIGTERM (the default)")))
            .subcommand(health)
            .subcommands(
                self.own_command
                    .map(|(name, about)| serve(Command::new(name).about(about))),
            )
    }
}

/// Returns whether the service has a database, a broker or a mail server, which AWS may run.
fn uses_aws(command: &Command) -> bool {
    let mut ids = command.get_arguments().map(Arg::get_id);
    ids.any(|id| ["database_secret_arn", "kafka_security", "mail_transport"].contains(&id.as_str()))
}

/// Returns a number as clap's default value, which must live as long as the process.
fn text(port: u16) -> &'static str {
    port.to_string().leak()
}

/// Requests the health check over HTTP/1.1 and returns the exit code.
fn probe(matches: &ArgMatches) -> i32 {
    let host = matches
        .get_one::<IpAddr>("host")
        .copied()
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let port = matches.get_one::<u16>("port").copied().unwrap_or_default();
    let path = path(matches);
    match is_ok(SocketAddr::new(reachable(host), port), path) {
        Ok(true) => 0,
        Ok(false) => {
            eprintln!("{path} does not respond with 200");
            1
        }
        Err(error) => {
            eprintln!("no response from {host}:{port}: {error}");
            1
        }
    }
}

/// Returns the path of the health check that was selected.
fn path(matches: &ArgMatches) -> &'static str {
    if matches.get_flag("ready") {
        "/health/ready"
    } else {
        "/health/live"
    }
}

/// Returns the address at which a server that binds `host` is reachable from its own machine.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}

fn is_ok(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let timeout = Duration::from_secs(4);
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(&status == b"HTTP/1.1 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Args)]
    struct Settings {
        /// Port.
        #[arg(long, default_value_t = 1)]
        port: u16,
    }

    fn parse(arguments: &[&str]) -> u16 {
        let cli = Cli::new("a-service", "A service.", 4000);
        cli.parse_from::<Settings>(arguments.iter().map(OsString::from))
            .expect("valid arguments")
            .1
            .port
    }

    #[test]
    fn serve_is_the_default_and_the_port_is_the_services_own() {
        assert_eq!(parse(&["a-service"]), 4000);
        assert_eq!(parse(&["a-service", "serve"]), 4000);
        assert_eq!(parse(&["a-service", "serve", "--port", "7"]), 7);
        assert_eq!(parse(&["a-service", "--port", "7"]), 7);
    }

    #[test]
    fn a_service_may_have_a_subcommand_of_its_own() {
        let cli = Cli::new("a-service", "A service.", 4000).subcommand("verify", "Verify.");
        let parse = |arguments: &[&str]| {
            let parsed = cli.parse_from::<Settings>(arguments.iter().map(OsString::from));
            parsed.map(|(own, settings)| (own, settings.port)).ok()
        };
        assert_eq!(parse(&["a-service", "verify", "--port", "7"]), Some((true, 7)));
        assert_eq!(parse(&["a-service", "serve"]), Some((false, 4000)));
        assert_eq!(parse(&["a-service", "other"]), None);
    }

    #[test]
    fn health_asks_liveness_and_with_ready_readiness() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        // A process whose database is away.
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.expect("a connection");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a request");
                    request.extend(byte);
                }
                let status = if request.starts_with(b"GET /health/live ") {
                    "200 OK"
                } else {
                    "503 Service Unavailable"
                };
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").expect("a response");
            }
        });
        let port = address.port().to_string();
        let exit_code = |arguments: &[&str]| {
            let arguments = [&["a-service", "health", "--port", &port], arguments].concat();
            let command = Cli::new("a-service", "A service.", 4000).command::<Settings>();
            let matches = command.try_get_matches_from(arguments).expect("valid arguments");
            probe(matches.subcommand_matches("health").expect("the subcommand"))
        };
        assert_eq!((exit_code(&[]), exit_code(&["--ready"])), (0, 1));
        server.join().expect("a server that does not panic");
    }
}
