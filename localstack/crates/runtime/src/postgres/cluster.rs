//! One PostgreSQL server with its data.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::install::Install;
use super::owner::Owner;
use super::parameters::Parameters;
use crate::authority::Authority;
use crate::daemon;
use crate::task::Identity;

/// The superuser of the endpoint itself, as RDS has one of its own.
const ADMIN: &str = "rdsadmin";

const START_PATIENCE: Duration = Duration::from_secs(60);

/// The master user and the first database of an instance.
pub struct Master<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// The database that the user owns; `postgres` when the instance names none.
    pub database: Option<&'a str>,
}

/// A server's folder and address. The folder holds `data`, `admin` (the admin's password) and `server.log`.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub folder: PathBuf,
    pub address: Ipv4Addr,
    pub port: u16,
    /// Who vouches for it.
    pub authority: Authority,
    pub parameters: Parameters,
    /// Whether it refuses connections in the clear.
    pub forces_tls: bool,
}

impl Cluster {
    /// Makes the data: a copy of a template that `initdb` writes once, with the master user in it.
    pub async fn create(&self, template: &Path, master: &Master<'_>) -> anyhow::Result<()> {
        let (install, owner) = (Install::find()?, Owner::choose()?);
        ensure_template(&install, owner, template).await?;
        let admin = password();
        let sql = setup(&admin, master);
        self.fill(&install, owner, &template.join("data"), &admin, sql).await
    }

    /// Makes the data as a copy of what is in the folder `kept`; the admin's password is renewed, and the master user's where
    /// one is given.
    ///
    /// # Errors
    /// When another major version of PostgreSQL wrote it: that one alone can read it.
    pub async fn restore(&self, kept: &Path, user: &str, given: Option<&str>) -> anyhow::Result<()> {
        let (install, owner) = (Install::find()?, Owner::choose()?);
        let wrote = fs::read_to_string(kept.join("data/PG_VERSION")).context("the snapshot's data cannot be read")?;
        if wrote.trim() != install.major() {
            bail!(
                "the snapshot was made by PostgreSQL {}, and this machine has {}: install that version to restore it",
                wrote.trim(),
                install.version
            );
        }
        let admin = password();
        let mut sql = format!("alter role {ADMIN} password {};\n\n", literal(&admin));
        if let Some(given) = given {
            sql += &format!("alter role {} password {};\n\n", identifier(user), literal(given));
        }
        self.fill(&install, owner, &kept.join("data"), &admin, sql).await
    }

    /// Copies a stopped server's data, and runs SQL on it before anybody can connect.
    async fn fill(&self, install: &Install, owner: Owner, from: &Path, admin: &str, sql: String) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder).context("cannot make the instance's folder")?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let data = self.folder.join("data");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(from).arg(&data);
        run(copy, None, "copy the data of a database").await?;
        // What a server that was killed leaves behind names a process that is none of this data's.
        let _ = fs::remove_file(data.join("postmaster.pid"));
        fs::write(self.folder.join("admin"), admin)?;
        fs::set_permissions(self.folder.join("admin"), fs::Permissions::from_mode(0o600))?;
        self.configure()?;
        self.certify(owner)?;
        owner.give(&self.folder)?;

        let (mut single, at) = owner.command(&self.folder, &install.tool("postgres"));
        single.args(["--single", "-j", "-D", &format!("{at}/data"), "postgres"]);
        run(single, Some(sql), "set the passwords of a database").await
    }

    /// Moves a stopped server's data into the folder `kept`; does nothing when that was done already.
    pub fn part_with(&self, kept: &Path) -> anyhow::Result<()> {
        let (from, to) = (self.folder.join("data"), kept.join("data"));
        if to.exists() && !from.exists() {
            return Ok(());
        }
        fs::rename(&from, &to).with_context(|| format!("cannot keep {} as {}", from.display(), to.display()))
    }

    /// Copies a running server's data into the folder `kept`, as it is at the end of the copy.
    pub async fn back_up(&self, kept: &Path) -> anyhow::Result<()> {
        let (install, owner) = (Install::find()?, Owner::choose()?);
        owner.give(kept)?;
        let admin = fs::read_to_string(self.folder.join("admin")).context("the admin's password is gone")?;
        let (mut backup, at) = owner.command(kept, &install.tool("pg_basebackup"));
        let (address, port) = (self.address.to_string(), self.port.to_string());
        backup.args([
            "-h", &address, "-p", &port, "-U", ADMIN, "-w", "-c", "fast", "-X", "stream",
        ]);
        backup.arg("-D").arg(format!("{at}/data"));
        // Its user may not look into the endpoint's own home for a client's certificate.
        backup
            .env("PGPASSWORD", admin)
            .env("PGCONNECT_TIMEOUT", "5")
            .env("HOME", &at);
        run(backup, None, "copy a running database").await
    }

    /// Starts the server, and returns when it takes queries.
    pub async fn start(&self) -> anyhow::Result<Identity> {
        let (install, owner) = (Install::find()?, Owner::choose()?);
        if !daemon::is_free(self.address, self.port).await {
            bail!(
                "{}:{} is taken by another process; the database cannot listen there",
                self.address,
                self.port
            );
        }
        self.configure()?;
        self.certify(owner)?;
        let log = self.folder.join("server.log");
        let (mut command, at) = owner.command(&self.folder, &install.tool("postgres"));
        command.args(["-D", &format!("{at}/data")]);
        let server = daemon::start(command, &log)?;
        match self.ready(&install, server).await {
            Ok(()) => Ok(server),
            Err(error) => {
                self.stop(server).await;
                Err(error)
            }
        }
    }

    async fn ready(&self, install: &Install, server: Identity) -> anyhow::Result<()> {
        let password = fs::read_to_string(self.folder.join("admin")).context("the admin's password is gone")?;
        let until = Instant::now() + START_PATIENCE;
        loop {
            let asked = self.query(install, (ADMIN, &password), "postgres", "select 1;").await;
            let Err(error) = asked else { return Ok(()) };
            let log = || daemon::last_lines(&self.folder.join("server.log"));
            if !server.is_alive() {
                bail!("PostgreSQL ended while it started:\n{}", log());
            }
            if Instant::now() > until {
                bail!(
                    "PostgreSQL takes no queries after {} s ({error}):\n{}",
                    START_PATIENCE.as_secs(),
                    log()
                );
            }
            sleep(Duration::from_millis(60)).await;
        }
    }

    /// Says whether the master user can log in and ask something.
    pub async fn answers(&self, master: &Master<'_>) -> anyhow::Result<()> {
        let database = master.database.unwrap_or("postgres");
        self.query(&Install::find()?, (master.user, master.password), database, "select 1;")
            .await
    }

    /// Gives the master user another password.
    pub async fn change_password(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let admin = fs::read_to_string(self.folder.join("admin")).context("the admin's password is gone")?;
        let sql = format!("alter role {} password {};", identifier(user), literal(password));
        self.query(&Install::find()?, (ADMIN, &admin), "postgres", &sql).await
    }

    /// The living server of this data, by its own pid file.
    pub fn running(&self) -> Option<Identity> {
        let pid_file = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let found = Identity::of(pid_file.lines().next()?.trim().parse().ok()?)?;
        let name = fs::read_to_string(format!("/proc/{}/comm", found.pid)).ok()?;
        name.starts_with("postgres").then_some(found)
    }

    /// Ends the server in order: sessions are cut, what is committed is kept.
    pub async fn stop(&self, server: Identity) {
        daemon::stop(server, Signal::INT, Duration::from_secs(15)).await;
    }

    /// Removes the data; the server must be gone.
    pub fn destroy(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Takes the parameters as they are now; what only a start can change waits for one, as RDS has it.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.configure()?;
        if let Some(server) = self.running() {
            server.signal(Signal::HUP);
        }
        Ok(())
    }

    /// A certificate for its address, anew at each start: the address may be another one by then.
    fn certify(&self, owner: Owner) -> anyhow::Result<()> {
        let data = self.folder.join("data");
        self.authority.certify(self.address, &data)?;
        owner.give(&data.join("server.key"))?;
        owner.give(&data.join("server.crt"))
    }

    /// Small, durable, on its own address only, with what the parameter group asks.
    fn configure(&self) -> anyhow::Result<()> {
        let data = self.folder.join("data");
        let settings = format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = ''\nmax_connections = 80\n\
             shared_buffers = '16MB'\nmin_wal_size = '32MB'\nmax_wal_size = '256MB'\nfsync = on\n\
             password_encryption = 'scram-sha-256'\nssl = on\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n\
             logging_collector = off\nlog_line_prefix = '%m [%p] '\nlog_statement = 'none'\n\
             log_min_error_statement = 'panic'\n{}",
            self.address,
            self.port,
            self.parameters.lines()
        );
        fs::write(data.join("postgresql.auto.conf"), settings).context("cannot write the server's settings")?;
        let kind = if self.forces_tls { "hostssl" } else { "host" };
        let access = format!(
            "# What reaches the address needs a password, and TLS where the parameter group says so.\n\
             {kind} all all 127.0.0.0/8 scram-sha-256\n\
             {kind} replication {ADMIN} 127.0.0.0/8 scram-sha-256\n"
        );
        fs::write(data.join("pg_hba.conf"), access).context("cannot write the server's access rules")
    }

    /// Runs SQL through psql; the password goes by the environment, which other users cannot read.
    async fn query(&self, install: &Install, login: (&str, &str), database: &str, sql: &str) -> anyhow::Result<()> {
        let mut psql = Command::new(install.tool("psql"));
        psql.args([
            "-X",
            "-q",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            &self.address.to_string(),
        ]);
        psql.args(["-p", &self.port.to_string(), "-U", login.0, "-d", database]);
        psql.env("PGPASSWORD", login.1).env("PGCONNECT_TIMEOUT", "5");
        run(psql, Some(sql.to_owned()), "ask the database").await
    }
}

/// The SQL of a new instance, for the single-user mode: statements end with a semicolon and two newlines.
fn setup(admin: &str, master: &Master<'_>) -> String {
    let user = identifier(master.user);
    let mut statements = vec![
        format!("alter role {ADMIN} password {}", literal(admin)),
        "create role rds_superuser nologin in role pg_monitor, pg_signal_backend".to_owned(),
        format!(
            "create role {user} login createdb createrole password {} in role rds_superuser",
            literal(master.password)
        ),
    ];
    match master.database {
        Some(database) if database != "postgres" => {
            statements.push(format!("create database {} owner {user}", identifier(database)));
        }
        _ => statements.push(format!("alter database postgres owner to {user}")),
    }
    statements.iter().map(|statement| format!("{statement};\n\n")).collect()
}

/// `initdb`, once for each version; beside the target first, so that a crash leaves no half template.
async fn ensure_template(install: &Install, owner: Owner, template: &Path) -> anyhow::Result<()> {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _held = ONE_AT_A_TIME.lock().await;
    if template.join("data/PG_VERSION").is_file() {
        return Ok(());
    }
    let beside = template.with_extension("new");
    let _ = fs::remove_dir_all(&beside);
    fs::create_dir_all(&beside).context("cannot make the folder of the database template")?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o700))?;
    owner.give(&beside)?;
    let (mut initdb, at) = owner.command(&beside, &install.tool("initdb"));
    initdb.args([
        "-D",
        &format!("{at}/data"),
        "-U",
        ADMIN,
        "-A",
        "scram-sha-256",
        "-E",
        "UTF8",
    ]);
    initdb.args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"]);
    // The password is set for each instance; initdb only wants one before it takes scram.
    fs::write(beside.join("first"), password())?;
    owner.give(&beside.join("first"))?;
    initdb.arg(format!("--pwfile={at}/first"));
    run(initdb, None, "make a PostgreSQL data directory").await?;
    fs::remove_file(beside.join("first"))?;
    owner.give(&beside)?;
    let _ = fs::remove_dir_all(template);
    fs::rename(&beside, template).context("cannot keep the database template")
}

async fn run(mut command: Command, input: Option<String>, purpose: &str) -> anyhow::Result<()> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {program} to {purpose}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin
            .write_all(input.as_bytes())
            .await
            .with_context(|| format!("{program} does not read its input"))?;
    }
    let ended = timeout(Duration::from_secs(120), child.wait_with_output()).await;
    let output = ended.with_context(|| format!("{program} took too long to {purpose}"))??;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // The single-user mode ends well even when a statement fails.
    if !output.status.success() || words.lines().any(|line| line.contains("ERROR: ")) {
        let hint = if words.contains("unshare") || words.contains("mount:") {
            "\nA root endpoint needs mount namespaces for its databases: give the container CAP_SYS_ADMIN, or run the \
             endpoint as another user"
        } else {
            ""
        };
        bail!("cannot {purpose}: {}{hint}", words.trim());
    }
    Ok(())
}

fn password() -> String {
    (0..32).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect()
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
