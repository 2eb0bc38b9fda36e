//! One database: a name that RDS accepts, a size that it has.

use super::super::Database;
use super::super::file::{self, Settings};
use super::{Checked, Place, is_class, is_name};

pub fn database(place: &Place, key: &str, own: &file::Database, given: &Settings) -> Checked<Database> {
    let common = &given.database_defaults;
    if !is_name(key, 30) {
        return place.invalid(
            &["databases", key],
            "must be 1 to 30 lower-case letters, digits and hyphens, from a letter on",
        );
    }
    let name = own.name.clone().unwrap_or_else(|| key.replace('-', "_"));
    if !name.starts_with(|c: char| c.is_ascii_alphabetic())
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        || name.len() > 57
    {
        return place.invalid(
            &["databases", key, "name"],
            format!(
                "'{name}' is not a name that RDS accepts: letters, digits and underscores, from a letter on, 57 at most"
            ),
        );
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) || name.starts_with("pg_") {
        return place.invalid(
            &["databases", key, "name"],
            format!("'{name}' is a word that RDS or PostgreSQL keeps for itself; say another `name = \"…\"`"),
        );
    }
    let storage_gib = own.storage_gib.or(common.storage_gib).unwrap_or(20);
    if !(20..=65536).contains(&storage_gib) {
        return place.invalid(
            &["databases", key, "storage_gib"],
            format!("{storage_gib} is not 20 to 65536, which gp3 volumes can be"),
        );
    }
    let instance_class = own
        .instance_class
        .clone()
        .or(common.instance_class.clone())
        .unwrap_or_else(|| "db.t4g.micro".into());
    if !is_class(&instance_class, "db.") {
        return place.invalid(
            &["databases", key, "instance_class"],
            format!("'{instance_class}' is not a class of RDS, such as db.t4g.micro"),
        );
    }
    let engine_version = own
        .engine_version
        .clone()
        .or(common.engine_version.clone())
        .unwrap_or_else(|| "17.9".into());
    if engine_version.split('.').count() > 2 || !engine_version.split('.').all(|part| part.parse::<u8>().is_ok()) {
        return place.invalid(
            &["databases", key, "engine_version"],
            format!("'{engine_version}' is not a version of PostgreSQL, such as 17 or 17.9"),
        );
    }
    let backup_days = own.backup_days.or(common.backup_days).unwrap_or(1);
    if backup_days > 35 {
        return place.invalid(
            &["databases", key, "backup_days"],
            format!("{backup_days} is more than 35, which RDS keeps at most"),
        );
    }
    if common.snapshot.is_some() {
        return place.invalid(
            &["database_defaults", "snapshot"],
            "a snapshot is of one database: name it under databases",
        );
    }
    Ok(Database {
        key: key.to_owned(),
        name,
        engine_version,
        instance_class,
        storage_gib,
        multi_az: own.multi_az.or(common.multi_az).unwrap_or(false),
        backup_days,
        snapshot: own.snapshot.clone(),
    })
}

/// What RDS takes for no database of PostgreSQL, and what would have to be quoted for ever.
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
