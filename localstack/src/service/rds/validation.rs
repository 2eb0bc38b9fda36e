//! RDS's rules for names and passwords of PostgreSQL instances.

use crate::AwsError;

/// Checks the identifier of an instance and returns it in lower case, as RDS stores it.
pub fn identifier(given: &str) -> Result<String, AwsError> {
    checked_identifier("DBInstanceIdentifier", given, 63)
}

/// Checks the identifier of a snapshot, which also names a folder.
pub fn snapshot_identifier(given: &str) -> Result<String, AwsError> {
    checked_identifier("DBSnapshotIdentifier", given, 255)
}

fn checked_identifier(parameter: &str, given: &str, limit: usize) -> Result<String, AwsError> {
    let id = given.to_lowercase();
    let is_valid = id.len() <= limit
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !id.ends_with('-')
        && !id.contains("--");
    if is_valid {
        return Ok(id);
    }
    Err(invalid(format!(
        "The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain only \
         ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens: {given}"
    )))
}

/// Checks the name of the first database: no hyphens and none of the words that PostgreSQL reserves.
pub fn database(name: &str) -> Result<(), AwsError> {
    const RESERVED: &[&str] = &[
        "db",
        "template0",
        "template1",
        "rdsadmin",
        "user",
        "table",
        "select",
        "all",
        "default",
    ];
    let is_valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 63;
    if !is_valid {
        return Err(invalid(format!(
            "DBName must begin with a letter and contain only alphanumeric characters and underscores: {name}"
        )));
    }
    if RESERVED.contains(&name.to_lowercase().as_str()) {
        return Err(invalid(format!(
            "DBName {name} cannot be used. It is a reserved word for this engine"
        )));
    }
    Ok(())
}

pub fn master_user(name: &str) -> Result<(), AwsError> {
    const RESERVED: &[&str] = &["admin", "rdsadmin", "rds_superuser", "public", "user"];
    let is_valid = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 63;
    if !is_valid {
        return Err(invalid(format!(
            "The parameter MasterUsername must begin with a letter and contain only letters, digits and underscores: \
             {name}"
        )));
    }
    if RESERVED.contains(&name.to_lowercase().as_str()) || name.to_lowercase().starts_with("pg_") {
        return Err(invalid(format!(
            "MasterUsername {name} cannot be used as it is a reserved word used by the engine"
        )));
    }
    Ok(())
}

pub fn password(password: &str) -> Result<(), AwsError> {
    if !(8..=128).contains(&password.len()) {
        return Err(invalid(
            "The parameter MasterUserPassword is not a valid password because it is shorter than 8 or longer than 128 \
             characters.",
        ));
    }
    if password.chars().any(|c| !c.is_ascii_graphic() || "/@\"".contains(c)) {
        return Err(invalid(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', \
             '@', '\"', ' ' may be used.",
        ));
    }
    Ok(())
}

pub fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_with_a_hyphen_is_rejected() {
        insta::assert_snapshot!(
            database("patient-service").unwrap_err(),
            @"InvalidParameterValue: DBName must begin with a letter and contain only alphanumeric characters and underscores: patient-service"
        );
        assert!(database("patient_service").is_ok());
        assert!(database("Template1").is_err());
    }

    #[test]
    fn an_identifier_is_stored_in_lower_case() {
        assert_eq!(identifier("Data-Db1").unwrap(), "data-db1");
        assert!(identifier("1db").is_err() && identifier("a--b").is_err() && identifier("a-").is_err());
        assert!(snapshot_identifier("../../etc").is_err() && snapshot_identifier("a.b").is_err());
    }
}
