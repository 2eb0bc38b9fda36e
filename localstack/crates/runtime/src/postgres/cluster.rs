//! One PostgreSQL server with its data directory.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::install::Installation;
use super::os_user::OsUser;
use super::parameters::Parameters;
use super::program::run;
use super::sql::{ADMIN, Master, identifier, literal, setup};
use super::template::{ensure_template, random_password};
use crate::certificate_authority::CertificateAuthority;
use crate::daemon;
use crate::task::Identity;

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A server's folder and address. The folder holds `data`, `admin` (the admin's password) and `server.log`.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Absolute path.
    pub folder: PathBuf,
    /// Loopback address of the instance.
    pub address: Ipv4Addr,
    /// TCP port; 5432 unless the template sets another.
    pub port: u16,
    /// The CA of its certificate.
    pub authority: CertificateAuthority,
    /// The parameter group.
    pub parameters: Parameters,
    /// True if connections without TLS are rejected.
    pub forces_tls: bool,
}

impl Cluster {
    /// Creates the data directory: a copy of a template that `initdb` writes once, with the master user added.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or rejects the SQL, or the state directory cannot be written.
    pub async fn create(&self, template: &Path, master: &Master<'_>) -> anyhow::Result<()> {
        let (install, user) = (Installation::find()?, OsUser::choose()?);
        ensure_template(&install, user, template).await?;
        let admin = random_password();
        let sql = setup(&admin, master);
        self.fill(&install, user, &template.join("data"), &admin, sql).await
    }

    /// Creates the data directory as a copy of a snapshot. The admin's password is renewed, and the master user's if there is a
    /// new one.
    ///
    /// # Errors
    /// When another major version of PostgreSQL wrote the snapshot, which only that version can read; otherwise as for `create`.
    pub async fn restore(&self, snapshot: &Path, master: &str, password: Option<&str>) -> anyhow::Result<()> {
        let (install, user) = (Installation::find()?, OsUser::choose()?);
        let version =
            fs::read_to_string(snapshot.join("data/PG_VERSION")).context("cannot read the snapshot's data")?;
        if version.trim() != install.major() {
            bail!(
                "the snapshot was made by PostgreSQL {}, and this machine has {}: install that version to restore it",
                version.trim(),
                install.version
            );
        }
        let admin = random_password();
        let mut sql = format!("alter role {ADMIN} password {};\n\n", literal(&admin));
        if let Some(password) = password {
            sql += &format!("alter role {} password {};\n\n", identifier(master), literal(password));
        }
        self.fill(&install, user, &snapshot.join("data"), &admin, sql).await
    }

    /// Copies a stopped server's data, and runs SQL on it before the server accepts connections.
    async fn fill(
        &self,
        install: &Installation,
        user: OsUser,
        from: &Path,
        admin: &str,
        sql: String,
    ) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder).context("cannot create the instance's folder")?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let data = self.folder.join("data");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(from).arg(&data);
        run(copy, None, "copy the data of a database").await?;
        // The pid file of a killed server names a process of the original data.
        let _ = fs::remove_file(data.join("postmaster.pid"));
        fs::write(self.folder.join("admin"), admin)?;
        fs::set_permissions(self.folder.join("admin"), fs::Permissions::from_mode(0o600))?;
        self.configure()?;
        self.issue_certificate(user)?;
        user.chown(&self.folder)?;

        let (mut single, at) = user.command(&self.folder, &install.tool("postgres"));
        single.args(["--single", "-j", "-D", &format!("{at}/data"), "postgres"]);
        run(single, Some(sql), "set the passwords of a database").await
    }

    /// Moves a stopped server's data into a folder. Succeeds if the data was moved before.
    ///
    /// # Errors
    /// When the data cannot be moved.
    pub fn move_data_to(&self, folder: &Path) -> anyhow::Result<()> {
        let (from, to) = (self.folder.join("data"), folder.join("data"));
        if to.exists() && !from.exists() {
            return Ok(());
        }
        fs::rename(&from, &to).with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
    }

    /// Copies a running server's data into a folder, as it is at the end of the copy.
    ///
    /// # Errors
    /// When `pg_basebackup` fails.
    pub async fn copy_data_to(&self, folder: &Path) -> anyhow::Result<()> {
        let (install, user) = (Installation::find()?, OsUser::choose()?);
        user.chown(folder)?;
        let admin =
            fs::read_to_string(self.folder.join("admin")).context("the file with the admin's password is missing")?;
        let (mut backup, at) = user.command(folder, &install.tool("pg_basebackup"));
        let (address, port) = (self.address.to_string(), self.port.to_string());
        backup.args([
            "-h", &address, "-p", &port, "-U", ADMIN, "-w", "-c", "fast", "-X", "stream",
        ]);
        backup.arg("-D").arg(format!("{at}/data"));
        // libpq looks for a client certificate in HOME, and its user has no access to the endpoint's home.
        backup
            .env("PGPASSWORD", admin)
            .env("PGCONNECT_TIMEOUT", "5")
            .env("HOME", &at);
        run(backup, None, "copy a running database").await
    }

    /// Starts the server, and returns when it accepts queries.
    ///
    /// # Errors
    /// When the port is in use, or the server does not start in time; with the end of its log.
    pub async fn start(&self) -> anyhow::Result<Identity> {
        let (install, user) = (Installation::find()?, OsUser::choose()?);
        let data = self.folder.join("data");
        if !data.join("PG_VERSION").exists() {
            bail!(
                "the data of the database is missing: {} has no data directory",
                self.folder.display()
            );
        }
        if let Some(server) = Identity::find_in(&data, &["postgres"]) {
            self.stop(server).await;
        }
        // PostgreSQL takes the pid of a killed server for a running one if another process has it now.
        let _ = fs::remove_file(data.join("postmaster.pid"));
        if !daemon::wait_until_free(self.address, self.port).await {
            bail!(
                "the database cannot listen on {}:{}: another process uses the port",
                self.address,
                self.port
            );
        }
        self.configure()?;
        self.issue_certificate(user)?;
        let log = self.folder.join("server.log");
        let (mut command, at) = user.command(&self.folder, &install.tool("postgres"));
        command.args(["-D", &format!("{at}/data")]);
        let server = daemon::start(command, &log)?;
        match self.wait_ready(&install, server).await {
            Ok(()) => Ok(server),
            Err(error) => {
                self.stop(server).await;
                Err(error)
            }
        }
    }

    async fn wait_ready(&self, install: &Installation, server: Identity) -> anyhow::Result<()> {
        let password =
            fs::read_to_string(self.folder.join("admin")).context("the file with the admin's password is missing")?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let result = self.query(install, (ADMIN, &password), "postgres", "select 1;").await;
            let Err(error) = result else { return Ok(()) };
            let log = || daemon::last_lines(&self.folder.join("server.log"));
            if !server.is_alive() {
                bail!("PostgreSQL ended during its start:\n{}", log());
            }
            if Instant::now() > deadline {
                bail!(
                    "PostgreSQL accepts no queries after {} s ({error}):\n{}",
                    START_TIMEOUT.as_secs(),
                    log()
                );
            }
            sleep(Duration::from_millis(60)).await;
        }
    }

    /// Checks that the master user can log in and run a query.
    ///
    /// # Errors
    /// When the server does not respond, or rejects the login.
    pub async fn check_login(&self, master: &Master<'_>) -> anyhow::Result<()> {
        let database = master.database.unwrap_or("postgres");
        self.query(
            &Installation::find()?,
            (master.user, master.password),
            database,
            "select 1;",
        )
        .await
    }

    /// Changes the password of a user.
    ///
    /// # Errors
    /// When the server does not respond.
    pub async fn change_password(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let admin =
            fs::read_to_string(self.folder.join("admin")).context("the file with the admin's password is missing")?;
        let sql = format!("alter role {} password {};", identifier(user), literal(password));
        self.query(&Installation::find()?, (ADMIN, &admin), "postgres", &sql)
            .await
    }

    /// Returns the process of the running server, from PostgreSQL's pid file. The pid may have been reused, by another server too: this
    /// one works in its data directory.
    pub fn running(&self) -> Option<Identity> {
        let data = self.folder.join("data");
        let pid_file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let found = Identity::of(pid_file.lines().next()?.trim().parse().ok()?)?;
        found.runs_in(&data).then_some(found)
    }

    /// Shuts the server down: sessions are closed, committed data is kept.
    pub async fn stop(&self, server: Identity) {
        daemon::stop(server, Signal::INT, Duration::from_secs(15)).await;
    }

    /// Deletes the data of a stopped server.
    ///
    /// # Errors
    /// When the data cannot be deleted.
    pub fn destroy(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot delete {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Applies the current parameters. Static parameters take effect at the next start, as on RDS.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.configure()?;
        if let Some(server) = self.running() {
            server.signal(Signal::HUP);
        }
        Ok(())
    }

    /// Issues a certificate for the server's address, at each start, because the address may have changed.
    fn issue_certificate(&self, user: OsUser) -> anyhow::Result<()> {
        let data = self.folder.join("data");
        self.authority.issue_files(self.address, &data)?;
        user.chown(&data.join("server.key"))?;
        user.chown(&data.join("server.crt"))
    }

    /// Writes the server's configuration: small and durable, on its own address only, with the parameters of its group.
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
            self.parameters.config_lines()
        );
        fs::write(data.join("postgresql.auto.conf"), settings).context("cannot write the server's settings")?;
        let kind = if self.forces_tls { "hostssl" } else { "host" };
        let access = format!(
            "# Every connection needs a password, and TLS if the parameter group forces it.\n\
             {kind} all all 127.0.0.0/8 scram-sha-256\n\
             {kind} replication {ADMIN} 127.0.0.0/8 scram-sha-256\n"
        );
        fs::write(data.join("pg_hba.conf"), access).context("cannot write the server's access rules")
    }

    /// Runs SQL with psql. The password is passed in the environment, which other users cannot read.
    async fn query(
        &self,
        install: &Installation,
        login: (&str, &str),
        database: &str,
        sql: &str,
    ) -> anyhow::Result<()> {
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
        run(psql, Some(sql.to_owned()), "query the database").await
    }
}
