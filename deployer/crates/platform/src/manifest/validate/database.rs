//! Validation of a database.

use super::super::Database;
use super::super::file::{self, Settings};
use super::super::problem::Problem;
use super::{ErrorContext, Validated, is_machine_size};

/// Returns a database.
pub fn database(
    context: &ErrorContext,
    key: &str,
    written: &file::Database,
    settings: &Settings,
) -> Validated<Database> {
    let common = &settings.database_defaults;
    let at = |property: &'static str| ["databases", key, property];
    context.name(&["databases", key], key, 30)?;
    let name = written.name.clone().unwrap_or_else(|| key.replace('-', "_"));
    if !name.starts_with(|c: char| c.is_ascii_alphabetic())
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        || name.len() > 57
    {
        return context.reject(&at("name"), Problem::DatabaseName(name));
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) || name.starts_with("pg_") {
        return context.reject(&at("name"), Problem::ReservedDatabaseName(name));
    }
    let storage_gib = written.storage_gib.or(common.storage_gib).unwrap_or(20);
    let volumes = ", the sizes of a gp3 volume in GiB";
    context.in_range(&at("storage_gib"), storage_gib, 20, 65_536, volumes)?;
    let instance_class = written
        .instance_class
        .clone()
        .or(common.instance_class.clone())
        .unwrap_or_else(|| "db.t4g.micro".into());
    if !is_machine_size(&instance_class, "db.") {
        return context.reject(&at("instance_class"), Problem::InstanceClass(instance_class));
    }
    let engine_version = written
        .engine_version
        .clone()
        .or(common.engine_version.clone())
        // The major version alone matches every minor one, to which RDS upgrades the instance by itself
        // (AutoMinorVersionUpgrade); a full version would be reported as drift after such an upgrade.
        .unwrap_or_else(|| "17".into());
    if engine_version.split('.').count() > 2 || !engine_version.split('.').all(|part| part.parse::<u8>().is_ok()) {
        return context.reject(&at("engine_version"), Problem::EngineVersion(engine_version));
    }
    let retention = written
        .backup_retention_days
        .or(common.backup_retention_days)
        .unwrap_or(1);
    context.in_range(
        &at("backup_retention_days"),
        retention.into(),
        0,
        35,
        ", the limits of RDS",
    )?;
    if common.snapshot.is_some() {
        return context.reject(&["database_defaults", "snapshot"], Problem::SharedSnapshot);
    }
    if written.ca_bundle.is_some() {
        return context.reject(&at("ca_bundle"), Problem::CaBundleOfOne);
    }
    Ok(Database {
        key: key.to_owned(),
        name,
        engine_version,
        instance_class,
        storage_gib,
        multi_az: written.multi_az.or(common.multi_az).unwrap_or(false),
        backup_retention_days: retention,
        snapshot: written.snapshot.clone(),
    })
}

/// Names that RDS does not accept for a PostgreSQL database, and names that would have to be quoted in every statement.
const RESERVED: &[&str] = &[
    "all",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "db",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "rdsadmin",
    "references",
    "select",
    "some",
    "table",
    "template0",
    "template1",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "when",
    "where",
    "window",
    "with",
];
