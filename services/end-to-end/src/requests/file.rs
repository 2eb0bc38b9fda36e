//! Parser of a `.http` file: variables, and requests separated by lines that begin with `###`.

/// A `.http` file.
pub(super) struct File {
    pub(super) name: String,
    /// `@name = value`, in order; a value may refer to others.
    pub(super) variables: Vec<(String, String)>,
    pub(super) requests: Vec<Entry>,
}

/// One request, with unresolved references.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The text after `###`.
    pub(super) title: String,
    /// `# @name …`
    pub(super) name: Option<String>,
    /// `# answers …`
    pub(super) answers: u16,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
}

impl File {
    /// Parses a file.
    ///
    /// # Panics
    /// If the syntax is not that of editors, or a request does not have a line `# answers STATUS`.
    pub(super) fn parse(name: &str, text: &str) -> Self {
        let mut parts = text.split("\n###");
        let head = parts.next().unwrap_or_default();
        let variables = head
            .lines()
            .filter_map(|line| line.strip_prefix('@')?.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let requests = parts.map(|part| entry(name, part)).collect();
        Self {
            name: name.to_owned(),
            variables,
            requests,
        }
    }
}

fn entry(file: &str, text: &str) -> Entry {
    let (title, text) = text.split_once('\n').unwrap_or((text, ""));
    let mut entry = Entry {
        title: title.trim().to_owned(),
        ..Entry::default()
    };
    let what = format!("{file}: {}", entry.title);
    let mut lines = text.lines().skip_while(|line| line.trim().is_empty()).peekable();
    while let Some(comment) = lines.next_if(|line| line.starts_with('#')) {
        let comment = comment.trim_start_matches('#').trim();
        if let Some(name) = comment.strip_prefix("@name ") {
            entry.name = Some(name.trim().to_owned());
        } else if let Some(status) = comment.strip_prefix("answers ") {
            entry.answers = status
                .trim()
                .parse()
                .unwrap_or_else(|_| panic!("{what}: `{comment}` is not a status"));
        }
    }
    assert!(entry.answers > 0, "{what}: a line `# answers STATUS` is missing");
    let first = lines.next().unwrap_or_default();
    let (method, url) = first
        .split_once(' ')
        .unwrap_or_else(|| panic!("{what}: `{first}` is not a request line"));
    (entry.method, entry.url) = (method.to_owned(), url.trim().to_owned());
    for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("{what}: `{line}` is not a header"));
        entry.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let body = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    entry.body = Some(body).filter(|body| !body.is_empty());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_parsed_as_in_editors() {
        let text = "# Comment\n@host = http://x\n\n### Create one\n# @name made\n# answers 201\nPOST {{host}}/things\nA: b\n\n{\n}\n\n### List\n# answers 200\nGET {{host}}/things\n";
        let file = File::parse("a.http", text);
        assert_eq!(file.variables, [("host".to_owned(), "http://x".to_owned())]);
        let [create, list] = &file.requests[..] else {
            panic!("two requests")
        };
        assert_eq!((create.name.as_deref(), create.answers), (Some("made"), 201));
        assert_eq!(create.headers, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(create.body.as_deref(), Some("{\n}"));
        assert_eq!(
            (list.method.as_str(), list.url.as_str(), &list.body),
            ("GET", "{{host}}/things", &None)
        );
    }
}
