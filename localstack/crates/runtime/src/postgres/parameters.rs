//! The parameters of an RDS parameter group, as settings of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::install::Installation;
use endpoint_core::records::scalar;

/// The first major version for which RDS forces TLS by default (RDS User Guide, "Using SSL with a PostgreSQL DB instance").
const TLS_BY_DEFAULT: u32 = 15;
const FORCE_TLS: &str = "rds.force_ssl";

/// Parameters for addresses, access and files, which RDS sets itself.
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
/// Parameters that are accepted without effect: they depend on the size of AWS's machines, or on libraries that may not be
/// installed.
const WITHOUT_EFFECT: &[&str] = &[
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
    /// Reads the `Parameters` property of a group.
    pub fn from_property(property: Option<&Value>) -> Self {
        let all = property.and_then(Value::as_object).into_iter().flatten();
        Self(
            all.filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
                .collect(),
        )
    }

    /// Returns the first parameter that RDS rejects in a group of this major version. Names are checked only for the version
    /// that is installed.
    pub fn first_rejected(&self, major: &str) -> Option<&str> {
        let is_installed = Installation::find().is_ok_and(|install| install.major() == major);
        let is_rejected = |name: &&String| {
            UNMODIFIABLE.contains(&name.as_str()) || (is_installed && !name.starts_with("rds.") && !is_known(name))
        };
        self.0.keys().find(is_rejected).map(String::as_str)
    }

    /// Returns true if connections without TLS are rejected.
    pub fn forces_tls(&self, major: &str) -> bool {
        match self.0.get(FORCE_TLS) {
            Some(value) => value == "1",
            None => major.parse::<u32>().is_ok_and(|major| major >= TLS_BY_DEFAULT),
        }
    }

    /// Returns lines for `postgresql.conf`: the parameters that this server has and that do not depend on AWS's machines.
    pub fn config_lines(&self) -> String {
        let effective = self.0.iter().filter(|(name, value)| {
            let formula = value.contains('{');
            !formula && !WITHOUT_EFFECT.contains(&name.as_str()) && is_known(name)
        });
        effective.fold(String::new(), |mut lines, (name, value)| {
            lines.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
            lines
        })
    }
}

/// Returns true if the installed PostgreSQL has a setting with this name. Settings of extensions contain a dot.
fn is_known(name: &str) -> bool {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let Ok(install) = Installation::find() else {
            return BTreeSet::new();
        };
        let output = Command::new(install.tool("postgres")).arg("--describe-config").output();
        let output = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        output
            .lines()
            .filter_map(|line| Some(line.split('\t').next()?.to_owned()))
            .collect()
    });
    (name.contains('.') && !name.starts_with("rds.")) || known.contains(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    fn group(parameters: Value) -> Parameters {
        Parameters::from_property(Some(&parameters))
    }

    #[test]
    fn known_settings_take_effect_except_those_for_the_machines_of_aws() {
        let parameters = group(json!({
            "log_error_verbosity": "terse", "log_min_duration_statement": 500, "rds.force_ssl": "1",
            "shared_buffers": "{DBInstanceClassMemory/32768}", "max_connections": "5000", "work_mem": "{X/2}",
            "search_path": "it's",
        }));
        let expected = "log_error_verbosity = 'terse'\nlog_min_duration_statement = '500'\nsearch_path = 'it''s'\n";
        assert_eq!(parameters.config_lines(), expected);
    }

    #[test]
    fn unknown_and_unmodifiable_parameters_are_rejected() {
        let major = Installation::find().unwrap().major().to_owned();
        assert_eq!(
            group(json!({"log_statment": "all"})).first_rejected(&major),
            Some("log_statment")
        );
        assert_eq!(group(json!({"port": 1})).first_rejected(&major), Some("port"));
        assert_eq!(
            group(json!({"rds.force_ssl": 1, "log_statement": "all"})).first_rejected(&major),
            None
        );
        assert_eq!(group(json!({"of_a_later_version": 1})).first_rejected("99"), None);
    }

    #[test]
    fn tls_is_forced_from_version_15_on_by_default() {
        assert!(group(json!({})).forces_tls("17") && !group(json!({})).forces_tls("14"));
        assert!(!group(json!({"rds.force_ssl": "0"})).forces_tls("17"));
        assert!(group(json!({"rds.force_ssl": 1})).forces_tls("14"));
    }
}
