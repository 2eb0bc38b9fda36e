use std::collections::BTreeSet;
use std::path::Path;

use aws::signed_request::OPERATIONS;

use platform::permissions::OWN_OPERATIONS;

/// Collects every `aws.<client>.<operation>()` of the sources.
fn calls(folder: &Path, into: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            calls(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text: String = std::fs::read_to_string(&path)
                .expect("a source file")
                .split_whitespace()
                .collect();
            for (at, before) in text.match_indices("aws.") {
                let mut words = text[at + before.len()..].splitn(3, ['.', '(']);
                let (client, operation) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let name = |word: &str| !word.is_empty() && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
                if name(client) && name(operation) && words.next().is_some_and(|rest| rest.starts_with(')')) {
                    into.insert((client.to_owned(), operation.to_owned()));
                }
            }
        }
    }
}

#[test]
fn what_deployer_calls_itself_is_listed() {
    let mut found = BTreeSet::new();
    for folder in ["src", "crates"] {
        calls(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let action = |(client, operation): &(String, String)| {
        let service = if client == "elb" {
            "elasticloadbalancing"
        } else {
            client
        };
        let words = operation.split('_').map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_uppercase() + rest
        });
        format!("{service}:{}", words.collect::<String>())
    };
    let signed = OPERATIONS.iter().map(aws::signed_request::Operation::action);
    let called: BTreeSet<String> = found.iter().map(action).chain(signed).collect();
    let listed: BTreeSet<String> = OWN_OPERATIONS
        .iter()
        .flat_map(|(service, names)| names.iter().map(move |name| format!("{service}:{name}")))
        .collect();
    assert_eq!(called, listed);
}
