//! The data directory that new instances are copied from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;

use super::install::Installation;
use super::os_user::OsUser;
use super::program::run;
use super::sql::ADMIN;

/// Runs `initdb` once for each version, in a folder that is renamed at the end, so that a crash leaves no incomplete template.
///
/// # Errors
/// When `initdb` fails, or the folder cannot be written.
pub async fn ensure_template(install: &Installation, user: OsUser, template: &Path) -> anyhow::Result<()> {
    static CREATING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _guard = CREATING.lock().await;
    if template.join("data/PG_VERSION").is_file() {
        return Ok(());
    }
    let draft = template.with_extension("new");
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(&draft).context("cannot create the folder of the database template")?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o700))?;
    user.chown(&draft)?;
    let (mut initdb, at) = user.command(&draft, &install.tool("initdb"));
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
    // Each instance gets another password; initdb requires one for scram.
    fs::write(draft.join("password"), random_password())?;
    user.chown(&draft.join("password"))?;
    initdb.arg(format!("--pwfile={at}/password"));
    run(initdb, None, "create a PostgreSQL data directory").await?;
    fs::remove_file(draft.join("password"))?;
    user.chown(&draft)?;
    let _ = fs::remove_dir_all(template);
    fs::rename(&draft, template).context("cannot store the database template")
}

/// Returns a random password of 32 lower-case characters.
pub fn random_password() -> String {
    (0..32).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect()
}
