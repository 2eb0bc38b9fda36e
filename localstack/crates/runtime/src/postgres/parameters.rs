//! What a parameter group of RDS asks, as settings of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::install::Install;
use endpoint_core::records::scalar;

/// From this major version on RDS forces TLS unless it is told not to (RDS User Guide, "Using SSL with a PostgreSQL DB
/// instance").
const TLS_BY_DEFAULT: u32 = 15;
const FORCE_TLS: &str = "rds.force_ssl";

/// Where the server is, who reaches it and where its files are is RDS's own, there as here.
const UNMODIFIABLE: &[&str] = &[
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "ssl_cert_file",
    "ssl_key_file",
    "unix_socket_directories",
];
/// Taken, and not followed: what they size is a machine of AWS, or needs libraries that may not be here.
const OF_THE_MACHINE: &[&str] = &[
    "archive_command",
    "huge_pages",
    "log_destination",
    "log_directory",
    "log_filename",
    "logging_collector",
    "max_connections",
    "max_wal_size",
    "min_wal_size",
    "shared_buffers",
    "shared_preload_libraries",
    "ssl",
];

/// The parameters of a group: name and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// From the `Parameters` property of a group.
    pub fn from_property(property: Option<&Value>) -> Self {
        let all = property.and_then(Value::as_object).into_iter().flatten();
        Self(
            all.filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
                .collect(),
        )
    }

    /// The first that RDS would refuse, for a group of this major version. Another version than the one that runs here
    /// may have settings of its own, which then pass.
    pub fn refused(&self, major: &str) -> Option<&str> {
        let same = Install::find().is_ok_and(|install| install.major() == major);
        let wrong = |name: &&String| {
            UNMODIFIABLE.contains(&name.as_str()) || (same && !name.starts_with("rds.") && !is_known(name))
        };
        self.0.keys().find(wrong).map(String::as_str)
    }

    pub fn forces_tls(&self, major: &str) -> bool {
        match self.0.get(FORCE_TLS) {
            Some(value) => value == "1",
            None => major.parse::<u32>().is_ok_and(|major| major >= TLS_BY_DEFAULT),
        }
    }

    /// Lines of `postgresql.conf`: all that this server knows and that is not sized for AWS's machines.
    pub fn lines(&self) -> String {
        let followed = self.0.iter().filter(|(name, value)| {
            let formula = value.contains('{');
            !formula && !OF_THE_MACHINE.contains(&name.as_str()) && is_known(name)
        });
        followed
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect()
    }
}

/// Whether the installed PostgreSQL has a setting of this name; those of extensions have a dot.
fn is_known(name: &str) -> bool {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let Ok(install) = Install::find() else {
            return BTreeSet::new();
        };
        let told = Command::new(install.tool("postgres")).arg("--describe-config").output();
        let told = told
            .map(|told| String::from_utf8_lossy(&told.stdout).into_owned())
            .unwrap_or_default();
        told.lines()
            .filter_map(|line| Some(line.split('\t').next()?.to_owned()))
            .collect()
    });
    (name.contains('.') && !name.starts_with("rds.")) || known.contains(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(parameters: Value) -> Parameters {
        Parameters::from_property(Some(&parameters))
    }

    #[test]
    fn what_the_server_knows_is_followed_and_what_sizes_a_machine_of_aws_is_not() {
        let parameters = group(json!({
            "log_error_verbosity": "terse", "log_min_duration_statement": 500, "rds.force_ssl": "1",
            "shared_buffers": "{DBInstanceClassMemory/32768}", "max_connections": "5000", "work_mem": "{X/2}",
            "search_path": "it's",
        }));
        let expected = "log_error_verbosity = 'terse'\nlog_min_duration_statement = '500'\nsearch_path = 'it''s'\n";
        assert_eq!(parameters.lines(), expected);
    }

    #[test]
    fn a_misspelt_name_and_one_of_the_service_itself_are_refused() {
        let major = Install::find().unwrap().major().to_owned();
        assert_eq!(
            group(json!({"log_statment": "all"})).refused(&major),
            Some("log_statment")
        );
        assert_eq!(group(json!({"port": 1})).refused(&major), Some("port"));
        assert_eq!(
            group(json!({"rds.force_ssl": 1, "log_statement": "all"})).refused(&major),
            None
        );
        assert_eq!(group(json!({"of_a_later_version": 1})).refused("99"), None);
    }

    #[test]
    fn tls_is_forced_from_version_15_on_unless_the_group_says_otherwise() {
        assert!(group(json!({})).forces_tls("17") && !group(json!({})).forces_tls("14"));
        assert!(!group(json!({"rds.force_ssl": "0"})).forces_tls("17"));
        assert!(group(json!({"rds.force_ssl": 1})).forces_tls("14"));
    }
}
