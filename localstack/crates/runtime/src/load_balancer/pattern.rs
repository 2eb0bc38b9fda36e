//! Patterns of rule conditions: `*` is any text, `?` any one character.

/// Whether the whole of `text` matches.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
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
    fn a_star_takes_any_text_and_a_question_mark_one_character() {
        assert!(matches("/api/*", "/api/patients/1"));
        assert!(matches("/*", "/"));
        assert!(matches("/img/?.png", "/img/a.png"));
        assert!(matches("*.example.*", "www.example.com"));
        assert!(!matches("/img/?.png", "/img/ab.png"));
        assert!(!matches("/api", "/api/"));
        assert!(!matches("/API/*", "/api/x"));
    }
}
