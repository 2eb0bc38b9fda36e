//! Patterns of rule conditions: `*` matches any text, `?` any one character.

/// Returns true if the pattern matches all of `text`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The positions of the last `*` in the pattern, and of the end of its match in the text.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, matched)) => {
                    star = Some((at, matched + 1));
                    (p, t) = (at + 1, matched + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_any_text_and_a_question_mark_one_character() {
        assert!(matches("/api/*", "/api/patients/1"));
        assert!(matches("/*", "/"));
        assert!(matches("/img/?.png", "/img/a.png"));
        assert!(matches("*.example.*", "www.example.com"));
        assert!(!matches("/img/?.png", "/img/ab.png"));
        assert!(!matches("/api", "/api/"));
        assert!(!matches("/API/*", "/api/x"));
    }
}
