//! Profiles in the files of the AWS CLI. The SDK does not report a missing profile: it looks for credentials elsewhere.

use std::path::PathBuf;

/// Returns the names of all profiles.
pub fn names() -> Vec<String> {
    let files = [
        path("AWS_CONFIG_FILE", "config"),
        path("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ];
    let texts = files
        .iter()
        .flatten()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    texts.flat_map(|text| names_in(&text)).collect()
}

fn path(variable: &str, file: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    Some(std::env::home_dir()?.join(".aws").join(file))
}

/// Returns the profiles of a file: `[NAME]`, or `[profile NAME]` (AWS CLI: "Configuration and credential file settings").
fn names_in(text: &str) -> Vec<String> {
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
    use super::names_in;

    #[test]
    fn profiles_are_found_in_the_formats_of_both_files() {
        let text = "[default]\nregion = eu-west-1\n[profile ops]\n# [no]\n  [profile \"two words\"] ; comment\n[ci]\nkey = [x\n";
        assert_eq!(names_in(text), ["default", "ops", "two words", "ci"]);
    }
}
