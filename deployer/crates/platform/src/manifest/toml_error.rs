//! Messages of the TOML reader, without Rust's type names: `u16` is a number from 0 to 65535.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::suggest::closest_match;

/// Keys of former versions, with the key that replaces each.
const RENAMED: [(&str, &str); 2] = [("probe", "readiness_path"), ("backup_days", "backup_retention_days")];

/// The reason why a text is not a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TomlProblem {
    /// A key that a manifest does not have here.
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that are known here.
        known: Vec<String>,
    },
    /// A value that is none of the known ones.
    UnknownValue {
        /// The value.
        value: String,
        /// The values that are known here.
        known: Vec<String>,
    },
    /// A value of another type.
    WrongType {
        /// The value.
        found: String,
        /// The expected type.
        expected: String,
    },
    /// A key that is required here.
    MissingKey(String),
    /// Any other message of the TOML reader.
    Other(String),
}

impl fmt::Display for TomlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Self::UnknownValue { value, .. } => write!(f, "unknown value `{value}`"),
            Self::WrongType { found, expected } => write!(f, "expected {expected}, found {found}"),
            Self::MissingKey(key) => write!(f, "the key `{key}` is missing"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl TomlProblem {
    /// Returns what to write instead, if it is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key: given, known } | Self::UnknownValue { value: given, known } => {
                let renamed = RENAMED
                    .iter()
                    .find(|(former, now)| former == given && known.iter().any(|key| key == now));
                let meant = match renamed {
                    Some((_, now)) => Some(*now),
                    None => closest_match(given, known.iter().map(String::as_str)),
                };
                Some(match meant {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known here: {}", known.join(", ")),
                })
            }
            Self::MissingKey(key) if key == "project" => Some(
                "a manifest starts with [project] and its name; the README's \"Your own services\" has a complete one"
                    .to_owned(),
            ),
            Self::WrongType { .. } | Self::MissingKey(_) | Self::Other(_) => None,
        }
    }
}

impl FromStr for TomlProblem {
    type Err = Infallible;

    /// Reads a message of serde or of the TOML reader.
    fn from_str(message: &str) -> Result<Self, Infallible> {
        Ok(unknown(message)
            .or_else(|| wrong_type(message))
            .or_else(|| missing(message))
            .unwrap_or_else(|| Self::Other(message.to_owned())))
    }
}

/// Reads serde's message about an unknown field or variant, with the known ones.
fn unknown(message: &str) -> Option<TomlProblem> {
    let read = |start: &str| {
        let (given, known) = message.strip_prefix(start)?.split_once('`')?;
        let known = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((given.to_owned(), known))
    };
    let key = read("unknown field `").map(|(key, known)| TomlProblem::UnknownKey { key, known });
    key.or_else(|| read("unknown variant `").map(|(value, known)| TomlProblem::UnknownValue { value, known }))
}

/// Reads `invalid type: string "8000", expected u16`, or the same of a value.
fn wrong_type(message: &str) -> Option<TomlProblem> {
    let rest = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|start| message.strip_prefix(start))?;
    let (found, expected) = rest.split_once(", expected ")?;
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number, 0 or more",
        "a boolean" => "true or false",
        "a string" => "a text in quotes",
        "a sequence" => "a list, such as [\"one\", \"two\"]",
        "a map" => "a table, such as { name = … }",
        other if other.starts_with("struct ") => "a table, such as { name = … }",
        other => other,
    };
    let found = found
        .replace("integer `", "the number `")
        .replace("string \"", "the text \"");
    let expected = expected.to_owned();
    Some(TomlProblem::WrongType { found, expected })
}

/// Reads serde's message about a missing field.
fn missing(message: &str) -> Option<TomlProblem> {
    let name = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    Some(TomlProblem::MissingKey(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_serde_are_reported_without_its_type_names() {
        let reworded = |message: &str| {
            let Ok(problem) = message.parse::<TomlProblem>();
            format!("{problem} | {}", problem.hint().unwrap_or("-".into()))
        };
        let all = [
            "unknown field `databse`, expected one of `package`, `image`, `database`",
            "unknown field `colour`, expected `name` or `workspace`",
            "unknown field `probe`, expected one of `port`, `readiness_path`",
            "unknown variant `sngle`, expected one of `single`, `per-zone`, `none`",
            "invalid type: string \"8000\", expected u16",
            "invalid value: integer `70000`, expected u16",
            "invalid type: string \"placed\", expected a sequence",
            "invalid type: boolean `true`, expected a map",
            "missing field `project`",
            "missing field `minimum`",
            "duplicate key",
        ]
        .map(reworded);
        insta::assert_snapshot!(all.join("\n"), @r#"
        unknown key `databse` | did you mean `database`?
        unknown key `colour` | known here: name, workspace
        unknown key `probe` | did you mean `readiness_path`?
        unknown value `sngle` | did you mean `single`?
        expected a whole number from 0 to 65535, found the text "8000" | -
        expected a whole number from 0 to 65535, found the number `70000` | -
        expected a list, such as ["one", "two"], found the text "placed" | -
        expected a table, such as { name = … }, found boolean `true` | -
        the key `project` is missing | a manifest starts with [project] and its name; the README's "Your own services" has a complete one
        the key `minimum` is missing | -
        duplicate key | -
        "#);
    }
}
