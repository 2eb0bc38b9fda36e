//! Is there the profile that was named? The SDK would look elsewhere for credentials, and say that there are none.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::suggest::closest_match;

/// An error where `--profile` names one that no file of the AWS CLI has.
pub fn require(name: &str) -> Result<()> {
    let files = [
        place("AWS_CONFIG_FILE", "config"),
        place("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ];
    let texts = files
        .iter()
        .flatten()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let known: Vec<String> = texts.flat_map(|text| names(&text)).collect();
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    let meant = match closest_match(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("; did you mean '{meant}'?"),
        None => String::new(),
    };
    Err(Error::Denied {
        operation: "signing in to AWS".into(),
        message: format!("there is no profile '{name}' in the files of the AWS CLI{meant}"),
    })
}

fn place(variable: &str, file: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    Some(std::env::home_dir()?.join(".aws").join(file))
}

/// The profiles of a file: `[NAME]`, or `[profile NAME]` (AWS CLI: "Configuration and credential file settings").
fn names(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('[')?.split_once(']'))
        .map(|(header, _)| {
            let header = header.trim();
            let name = header
                .strip_prefix("profile")
                .filter(|rest| rest.starts_with([' ', '\t']));
            name.unwrap_or(header).trim().trim_matches('"').to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn profiles_are_found_as_both_files_write_them() {
        let text =
            "[default]\nregion = eu-west-1\n[profile ops]\n# [no]\n  [profile \"two words\"] ; said\n[ci]\nkey = [x\n";
        assert_eq!(names(text), ["default", "ops", "two words", "ci"]);
    }
}
