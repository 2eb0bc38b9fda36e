//! Suggestions for a mistyped name.

/// Minimum similarity of two names, from 0 to 1: one slip in three characters, two in six.
const SIMILARITY_THRESHOLD: f64 = 0.6;

/// Returns the known name that is most similar to the given one; `None` if no name is similar enough.
pub fn closest_match<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&given, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_THRESHOLD)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Returns the end of the sentence `there is no X 'given'`: the closest name, or all of them. `kind` is their plural.
pub fn closest_or_all<'a>(kind: &str, given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match closest_match(given, known.iter().copied()) {
        Some(name) => format!("did you mean '{name}'?"),
        None if known.is_empty() => format!("{kind}: none are declared"),
        None => format!("{kind}: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_name_is_not() {
        let known = ["dev", "prod", "databases", "services"];
        for (given, meant) in [
            ("prd", Some("prod")),
            ("servics", Some("services")),
            ("Services", Some("services")),
            ("dveelopment", None),
            ("test", None),
            ("", None),
        ] {
            assert_eq!(closest_match(given, known), meant, "{given}");
        }
    }

    #[test]
    fn without_a_similar_name_all_are_listed() {
        let known = ["placed", "paid"];
        assert_eq!(closest_or_all("topics", "plced", known), "did you mean 'placed'?");
        assert_eq!(closest_or_all("topics", "orders", known), "topics: placed, paid");
        assert_eq!(closest_or_all("topics", "orders", []), "topics: none are declared");
    }
}
