//! A file of requests: variables, and requests between lines that begin with `###`.

/// The file.
pub struct File {
    pub name: String,
    /// `@name = value`, in their order; a value may refer to others.
    pub variables: Vec<(String, String)>,
    pub requests: Vec<Entry>,
}

/// One request, with its references as they are written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What follows `###`.
    pub title: String,
    /// `# @name …`
    pub name: Option<String>,
    /// `# answers …`
    pub answers: u16,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

impl File {
    /// Reads a file.
    ///
    /// # Panics
    /// When something is not as editors read it, or a request does not say what it answers.
    pub fn parse(name: &str, text: &str) -> Self {
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
    let (title, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut entry = Entry {
        title: title.trim().to_owned(),
        ..Entry::default()
    };
    let what = format!("{file}: {}", entry.title);
    let mut lines = rest.lines().skip_while(|line| line.trim().is_empty()).peekable();
    while let Some(comment) = lines.next_if(|line| line.starts_with('#')) {
        let comment = comment.trim_start_matches('#').trim();
        if let Some(name) = comment.strip_prefix("@name ") {
            entry.name = Some(name.trim().to_owned());
        } else if let Some(status) = comment.strip_prefix("answers ") {
            entry.answers = status
                .trim()
                .parse()
                .unwrap_or_else(|_| panic!("{what}: `{comment}` is no status"));
        }
    }
    assert!(entry.answers > 0, "{what}: a line `# answers STATUS` is missing");
    let first = lines.next().unwrap_or_default();
    let (method, url) = first
        .split_once(' ')
        .unwrap_or_else(|| panic!("{what}: `{first}` is no request line"));
    (entry.method, entry.url) = (method.to_owned(), url.trim().to_owned());
    for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("{what}: `{line}` is no header"));
        entry.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let body = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    entry.body = Some(body).filter(|body| !body.is_empty());
    entry
}

#[test]
fn a_file_is_read_as_editors_read_it() {
    let text = "# Words\n@host = http://x\n\n### Make one\n# @name made\n# answers 201\nPOST {{host}}/things\nA: b\n\n{\n}\n\n### Look\n# answers 200\nGET {{host}}/things\n";
    let file = File::parse("a.http", text);
    assert_eq!(file.variables, [("host".to_owned(), "http://x".to_owned())]);
    let [made, look] = &file.requests[..] else {
        panic!("two requests")
    };
    assert_eq!((made.name.as_deref(), made.answers), (Some("made"), 201));
    assert_eq!(made.headers, [("A".to_owned(), "b".to_owned())]);
    assert_eq!(made.body.as_deref(), Some("{\n}"));
    assert_eq!(
        (look.method.as_str(), look.url.as_str(), &look.body),
        ("GET", "{{host}}/things", &None)
    );
}
