//! Every command line in --help and in the documents is valid, and docs/commands.md is what --help prints.

use std::path::Path;

use clap::{CommandFactory, Parser};

use super::Cli;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Returns the command lines in a text: the arguments of `deployer`, up to a pipe, a comment, a closing bracket, or two spaces.
fn lines(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let prefixes = [
            "scripts/deployer ",
            "deployer ",
            "$(deployer ",
            "$(scripts/deployer ",
            "<(deployer ",
        ];
        let Some(start) = prefixes
            .iter()
            .filter_map(|prefix| Some(line.find(prefix)? + prefix.len()))
            .min()
        else {
            continue;
        };
        // A line of prose that mentions the command does not begin with it.
        let prose =
            !prefixes.iter().any(|prefix| line.starts_with(prefix)) && !line.contains("$(") && !line.contains("<(");
        if !prose {
            found.push(arguments(&line[start..]));
        }
    }
    found
}

fn arguments(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut last = ' ';
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | ')' | '#' | '>' | ';' | '&') => break,
            (None, ' ') if last == ' ' => break,
            (None, ' ') => words.push(String::new()),
            (_, c) => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
        last = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn rejection(line: &[String]) -> Option<String> {
    let all = std::iter::once("deployer".to_owned()).chain(line.iter().cloned());
    match Cli::try_parse_from(all) {
        Err(error) if error.use_stderr() => Some(format!("deployer {}\n{error}", line.join(" "))),
        _ => None,
    }
}

#[test]
fn the_commands_of_the_documents_are_valid() {
    let documents = [
        "README.md",
        "docs/operations.md",
        "docs/targets.md",
        "docs/services.md",
        "CONTRIBUTING.md",
    ];
    let mut found = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(Path::new(REPOSITORY).join(document)).expect("the document");
        let blocks = text.split("```").skip(1).step_by(2);
        found.extend(blocks.filter(|block| block.starts_with("sh\n")).flat_map(lines));
    }
    assert!(found.len() > 30, "the documents show commands: {found:?}");
    let wrong: Vec<String> = found.iter().filter_map(|line| rejection(line)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_has_valid_examples_and_exit_codes() {
    let mut cli = Cli::command();
    cli.build();
    let mut wrong = Vec::new();
    for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        let help = command.render_long_help().to_string();
        let Some((_, after)) = help.split_once("Examples:\n") else {
            wrong.push(format!("{name} has no examples"));
            continue;
        };
        let (examples, codes) = after.split_once("Exit codes:").unwrap_or((after, ""));
        if codes.is_empty() {
            wrong.push(format!("{name} has no exit codes"));
        }
        let lines = lines(examples);
        let own = |line: &Vec<String>| line.first().is_some_and(|word| *word == name);
        if !lines.iter().any(own) {
            wrong.push(format!("{name} has no example with its name: {lines:?}"));
        }
        wrong.extend(lines.iter().filter_map(|line| rejection(line)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Appends a command's help, and that of its subcommands, as sections of the document.
fn document(command: &mut clap::Command, name: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    // The common options are the same everywhere: the first section has them.
    let own = match help.split_once("Common options:") {
        Some((own, _)) if name != "deployer" => {
            format!("{own}{}", help.find("Examples:\n").map_or("", |at| &help[at..]))
        }
        _ => help.clone(),
    };
    let level = if name == "deployer" { "##" } else { "###" };
    let lines: Vec<&str> = own.trim().lines().map(str::trim_end).collect();
    text.push_str(&format!("\n{level} {name}\n\n```text\n{}\n```\n", lines.join("\n")));
    for command in command
        .get_subcommands_mut()
        .filter(|command| command.get_name() != "help")
    {
        let name = format!("{name} {}", command.get_name());
        document(command, &name, text);
    }
}

#[test]
fn the_document_of_the_commands_is_their_help() {
    let path = Path::new(REPOSITORY).join("docs/commands.md");
    let mut cli = Cli::command();
    cli.build();
    let mut text = "# Commands\n\nWhat `--help` prints. A test compares this file with it; `UPDATE_DOCS=1 cargo test --release -p deployer the_document` writes it.\n".to_owned();
    document(&mut cli, "deployer", &mut text);
    // The help shows the values of variables on this machine.
    let values = regex::Regex::new(r"\[env: (\w+)=[^\]]*\]").expect("a pattern");
    let text = values.replace_all(&text, "[env: $1]");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text.as_bytes()).expect("docs/commands.md can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/commands.md is stale: run UPDATE_DOCS=1 cargo test --release -p deployer the_document"
    );
}

#[test]
fn a_line_ends_at_a_pipe_a_comment_or_a_gap() {
    let text = "  deployer diff --json | jq .\n  eval \"$(deployer outputs --format env)\"    in this shell\n\
                scripts/deployer logs --grep 'a | b' -n 5   # two\nthis line only mentions deployer";
    let expected = [
        vec!["diff", "--json"],
        vec!["outputs", "--format", "env"],
        vec!["logs", "--grep", "a | b", "-n", "5"],
    ];
    assert_eq!(lines(text), expected);
}
