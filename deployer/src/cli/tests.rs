//! Every command line in --help and in the README is valid.

use clap::{CommandFactory, Parser};

use super::Cli;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

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
fn the_commands_of_the_readme_are_valid() {
    let readme = std::fs::read_to_string(README).expect("the README");
    let blocks = readme.split("```").skip(1).step_by(2);
    let found: Vec<_> = blocks.flat_map(lines).collect();
    assert!(found.len() > 12, "the README shows commands: {found:?}");
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

#[test]
fn the_help_is_as_reviewed() {
    let mut cli = Cli::command();
    cli.build();
    let mut text = cli.render_long_help().to_string();
    for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let help = command.render_long_help().to_string();
        // The common options are the same everywhere.
        let own = help.split_once("Common options:").map_or(help.as_str(), |(own, _)| own);
        let after = help.find("Examples:\n").map_or("", |at| &help[at..]);
        text.push_str(&format!("\n=== deployer {} ===\n{own}{after}", command.get_name()));
    }
    // The help shows the values of variables on this machine.
    let values = regex::Regex::new(r"\[env: (\w+)=[^\]]*\]").expect("a pattern");
    insta::assert_snapshot!(values.replace_all(&text, "[env: $1]"));
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
