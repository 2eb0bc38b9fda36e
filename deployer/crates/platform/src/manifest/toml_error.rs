//! What the TOML reader says, in words for a person who does not read Rust: `u16` is a number from 0 to 65535.

use crate::suggest::nearest;

/// The message, and what to do where that is known.
pub fn reworded(message: &str) -> (String, Option<String>) {
    unknown_key(message)
        .or_else(|| wrong_type(message))
        .or_else(|| missing(message))
        .unwrap_or_else(|| (message.to_owned(), None))
}

/// `unknown field `x`, expected one of `a`, `b``, or the same of a variant.
fn unknown_key(message: &str) -> Option<(String, Option<String>)> {
    let (what, rest) = [("key", "unknown field `"), ("value", "unknown variant `")]
        .into_iter()
        .find_map(|(what, start)| Some((what, message.strip_prefix(start)?)))?;
    let (given, known) = rest.split_once('`')?;
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let hint = match nearest(given, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    Some((format!("unknown {what} `{given}`"), Some(hint)))
}

/// `invalid type: string "8000", expected u16`, or the same of a value.
fn wrong_type(message: &str) -> Option<(String, Option<String>)> {
    let rest = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|start| message.strip_prefix(start))?;
    let (given, expected) = rest.split_once(", expected ")?;
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
    let given = given
        .replace("integer `", "the number `")
        .replace("string \"", "the text \"");
    Some((format!("{given} is given, where {expected} is expected"), None))
}

/// `missing field `project``.
fn missing(message: &str) -> Option<(String, Option<String>)> {
    let name = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    let hint = (name == "project").then(|| {
        "a manifest begins with [project] and its name; the README's \"Your own services\" has a whole one".to_owned()
    });
    Some((format!("the key `{name}` is missing"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_says_is_told_in_words() {
        let told = |message: &str| {
            let (message, hint) = reworded(message);
            format!("{message} | {}", hint.unwrap_or("-".into()))
        };
        let all = [
            "unknown field `databse`, expected one of `package`, `image`, `database`",
            "unknown field `colour`, expected `name` or `workspace`",
            "unknown variant `sngle`, expected one of `single`, `per-zone`, `none`",
            "invalid type: string \"8000\", expected u16",
            "invalid value: integer `70000`, expected u16",
            "invalid type: string \"placed\", expected a sequence",
            "invalid type: boolean `true`, expected a map",
            "missing field `project`",
            "missing field `minimum`",
            "duplicate key",
        ]
        .map(told);
        insta::assert_snapshot!(all.join("\n"), @r#"
        unknown key `databse` | did you mean `database`?
        unknown key `colour` | known here: name, workspace
        unknown value `sngle` | did you mean `single`?
        the text "8000" is given, where a whole number from 0 to 65535 is expected | -
        the number `70000` is given, where a whole number from 0 to 65535 is expected | -
        the text "placed" is given, where a list, such as ["one", "two"] is expected | -
        boolean `true` is given, where a table, such as { name = … } is expected | -
        the key `project` is missing | a manifest begins with [project] and its name; the README's "Your own services" has a whole one
        the key `minimum` is missing | -
        duplicate key | -
        "#);
    }
}
