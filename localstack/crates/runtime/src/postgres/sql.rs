//! SQL of the endpoint's own statements.

/// The superuser of the endpoint itself, named like that of RDS.
pub const ADMIN: &str = "rdsadmin";

/// The master user and the first database of an instance.
pub struct Master<'a> {
    /// Name of the role, unquoted.
    pub user: &'a str,
    /// Plain text.
    pub password: &'a str,
    /// The database that the user owns; `None` for `postgres`.
    pub database: Option<&'a str>,
}

/// Returns the SQL for a new instance. In single-user mode statements end with a semicolon and two newlines.
pub fn setup(admin: &str, master: &Master<'_>) -> String {
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
    statements.join(";\n\n") + ";\n\n"
}

/// Quotes an identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a string.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
