//! The case of the first character of a name.

/// Returns `name` with its first character in lower case.
pub fn lower_first(name: &str) -> String {
    let (first, rest) = split(name);
    first.to_ascii_lowercase() + rest
}

/// Returns `name` with its first character in upper case.
pub fn upper_first(name: &str) -> String {
    let (first, rest) = split(name);
    first.to_ascii_uppercase() + rest
}

fn split(name: &str) -> (&str, &str) {
    name.split_at(name.chars().next().map_or(0, char::len_utf8))
}
