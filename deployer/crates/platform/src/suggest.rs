//! What somebody who mistyped a name may have meant.

/// How much alike two names must be, from 0 to 1: one slip in three letters, two in six.
const ALIKE: f64 = 0.6;

/// The known name that is most like the one given; none when none is much alike.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&given, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Ends the sentence `there is no X 'given'`: the name that was meant, or all there are. `kind` is their plural.
pub fn instead<'a>(kind: &str, given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(given, known.iter().copied()) {
        Some(name) => format!("did you mean '{name}'?"),
        None if known.is_empty() => format!("{kind}: none are declared"),
        None => format!("{kind}: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["dev", "prod", "databases", "services"];
        for (given, meant) in [
            ("prd", Some("prod")),
            ("servics", Some("services")),
            ("Services", Some("services")),
            ("dveelopment", None),
            ("test", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known), meant, "{given}");
        }
    }

    #[test]
    fn without_a_likely_name_all_are_told() {
        assert_eq!(instead("topics", "plced", ["placed", "paid"]), "did you mean 'placed'?");
        assert_eq!(instead("topics", "orders", ["placed", "paid"]), "topics: placed, paid");
        assert_eq!(instead("topics", "orders", []), "topics: none are declared");
    }
}
