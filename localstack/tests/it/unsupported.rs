//! The table of members that the endpoint does not act on, compared with AWS's models and with the code: each member of each operation is
//! acted on, kept, or refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use embedded_endpoint::wire::lower_first;
use embedded_endpoint::wire::model::{Kind, Model, Shape};
use embedded_endpoint::wire::unsupported::{self, Treatment};

/// The folders of a service's code, below the package.
fn folders(service: &str) -> Vec<PathBuf> {
    let folder = match service {
        "application-autoscaling" => "autoscaling",
        "elasticloadbalancing" => "elbv2",
        "monitoring" => "cloudwatch",
        other => other,
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = package.join("src/service").join(folder);
    match service {
        "cloudformation" => vec![package.join("crates/cloudformation/src"), own],
        "servicequotas" => vec![own.with_extension("rs")],
        _ => vec![own],
    }
}

/// Returns the words in string literals and the fields of structures of a service's code.
fn words(service: &str) -> BTreeSet<String> {
    fn read(path: &Path, text: &mut String) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                read(&entry.unwrap().path(), text);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let code = fs::read_to_string(path).unwrap();
            text.push_str(code.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default());
        }
    }
    let mut code = String::new();
    for folder in folders(service) {
        read(&folder, &mut code);
    }
    let split = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    split.map(str::to_owned).collect()
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Collects the paths of all members of an input.
fn paths(model: &Model, shape: &Shape, path: &str, seen: &[*const Shape], found: &mut BTreeSet<String>) {
    if seen.contains(&std::ptr::from_ref(shape)) {
        return;
    }
    let seen = [seen, &[std::ptr::from_ref(shape)]].concat();
    let inner = |name: &str| model.shape(name).unwrap();
    match shape.kind {
        Kind::Structure => {
            for (member, reference) in &shape.members {
                let path = match path {
                    "" => member.clone(),
                    outer => format!("{outer}.{member}"),
                };
                paths(model, inner(&reference.shape), &path, &seen, found);
                found.insert(path);
            }
        }
        Kind::List | Kind::Map => {
            for reference in shape.member.iter().chain(&shape.value) {
                paths(model, inner(&reference.shape), path, &seen, found);
            }
        }
        _ => {}
    }
}

/// The members of the operations of one service, by operation.
fn members(service: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (model, words) = (Model::of(service).unwrap(), words(service));
    let served = model.operations().filter(|(name, _)| words.contains(*name));
    let inputs = served.map(|(name, operation)| {
        let mut found = BTreeSet::new();
        if let Some(shape) = operation.input.as_deref().and_then(|name| model.shape(name)) {
            paths(model, shape, "", &[], &mut found);
        }
        (name.to_owned(), found)
    });
    inputs.collect()
}

#[test]
fn each_member_is_acted_on_or_in_the_table() {
    let (mut missing, mut stale) = (String::new(), Vec::new());
    for service in Model::services() {
        let (words, members) = (words(service), members(service));
        let entries: Vec<_> = unsupported::entries()
            .iter()
            .filter(|entry| entry.service == service)
            .collect();
        let is_listed = |operation: &str, path: &str| {
            entries
                .iter()
                .any(|entry| (entry.operation == operation || entry.operation == "*") && covers(entry.path, path))
        };
        for (operation, paths) in &members {
            let names = |path: &String| {
                let name = path.rsplit('.').next().unwrap_or_default();
                words.contains(name) || words.contains(&snake_case(name)) || words.contains(&lower_first(name))
            };
            // A structure whose members are all in the table.
            let is_listed_by_members = |path: &String| {
                let mut inner = paths.iter().filter(|one| *one != path && covers(path, one)).peekable();
                inner.peek().is_some() && inner.all(|one| is_listed(operation, one))
            };
            let ignored: Vec<&str> = paths
                .iter()
                .filter(|path| !is_listed(operation, path) && !names(path) && !is_listed_by_members(path))
                .map(String::as_str)
                .collect();
            if !ignored.is_empty() {
                writeln!(missing, "{service} {operation}: {}", ignored.join(" ")).unwrap();
            }
        }
        for entry in &entries {
            let known = members.iter().any(|(operation, paths)| {
                (entry.operation == "*" || entry.operation == operation) && paths.contains(entry.path)
            });
            if !known {
                stale.push(format!("{service} {} {}", entry.operation, entry.path));
            }
        }
    }
    assert!(
        stale.is_empty(),
        "models/unsupported.txt has what no served operation has: {stale:#?}"
    );
    assert!(
        missing.is_empty(),
        "no code and no entry of models/unsupported.txt names:\n{missing}"
    );
}

/// Returns true if an entry for `outer` is one for `path`, too.
fn covers(outer: &str, path: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[test]
fn the_document_shows_the_table() {
    let mut table = String::from("| service | operations | acted on | kept | refused |\n|---|---|---|---|---|\n");
    for service in Model::services() {
        let members = members(service);
        let (mut kept, mut refused) = (0, 0);
        let total: usize = members.values().map(BTreeSet::len).sum();
        for (operation, path) in members
            .iter()
            .flat_map(|(operation, paths)| paths.iter().map(move |path| (operation, path)))
        {
            let entry = unsupported::entries().iter().find(|entry| {
                entry.service == service
                    && (entry.operation == operation || entry.operation == "*")
                    && covers(entry.path, path)
            });
            match entry.map(|entry| &entry.treatment) {
                Some(Treatment::Refused(_)) => refused += 1,
                Some(Treatment::Kept) => kept += 1,
                _ => {}
            }
        }
        let acted_on = total - kept - refused;
        writeln!(
            table,
            "| {service} | {} | {acted_on} | {kept} | {refused} |",
            members.len()
        )
        .unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/endpoint.md");
    let document = fs::read_to_string(&file).unwrap();
    let (begin, end) = ("<!-- members -->\n", "<!-- end of members -->");
    let (before, rest) = document.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let expected = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, expected).unwrap();
    } else {
        assert_eq!(
            document, expected,
            "docs/endpoint.md is stale: run this test with UPDATE_DOCS=1"
        );
    }
}
