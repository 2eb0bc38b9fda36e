//! `deployer outputs`: the outputs of the stacks.

use std::collections::BTreeMap;

use aws::ecs::public_url;
use serde_json::json;

use crate::context::Session;
use crate::error::{ArgumentError, Named, Result};
use aws::cloudformation;

/// Print all outputs as STACK.NAME=VALUE, or the value of one; `url` is the system's URL.
///
/// With HTTPS on the embedded endpoint, `ca-file` is the path of the endpoint's CA certificate, for `curl --cacert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer outputs url                        the system's URL alone, for scripts
  deployer outputs network.VpcId
  eval \"$(deployer outputs --format env)\"     $NETWORK_VPC_ID, $URL, … in this shell
  deployer outputs --format json | jq -r '.url'

Exit codes: 0 printed; 1 no such output, not deployed, or no endpoint; 3 credentials or permission.")]
pub struct Args {
    /// `url`, `ca-file`, STACK.NAME, or NAME if only one stack has it.
    name: Option<String>,
    /// Lines, one JSON object (a string for one NAME), or quoted variables for a shell.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Env,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let mut outputs: BTreeMap<String, String> = BTreeMap::new();
    let (stacks, url) = tokio::join!(cloudformation::list_stacks(&aws, &prefix), public_url(&aws, &plan));
    for (name, stack) in stacks? {
        let short = name.strip_prefix(&prefix).unwrap_or(&name);
        let named = stack.outputs.into_iter();
        outputs.extend(named.map(|(key, value)| (format!("{short}.{key}"), value)));
    }
    if let Some(url) = url? {
        let ca_file = aws.endpoint().ca_file.as_ref().filter(|_| url.starts_with("https:"));
        outputs.extend(ca_file.map(|path| ("ca-file".into(), path.display().to_string())));
        outputs.insert("url".into(), url);
    }
    let Some(name) = &args.name else {
        session
            .ui
            .data("outputs", json!(outputs), &render(&outputs, args.format));
        return Ok(());
    };
    let environment = format!("{}-{}", plan.project, plan.environment);
    let (full_name, value) = find(&outputs, name, &environment)?;
    let text = match args.format {
        Format::Text => value.to_owned(),
        Format::Json => json!(value).to_string(),
        Format::Env => assignment(full_name, value),
    };
    session.ui.data("outputs", json!({ name.as_str(): value }), &text);
    Ok(())
}

/// Finds an output by its full name, or by the part that only one stack has. Returns its full name and its value.
fn find<'a>(
    outputs: &'a BTreeMap<String, String>,
    name: &str,
    environment: &str,
) -> Result<(&'a str, &'a str), ArgumentError> {
    let is_short = |full: &str| full.split_once('.').is_some_and(|(_, output)| output == name);
    let mut found = outputs.iter().filter(|(full, _)| *full == name || is_short(full));
    match (found.next(), found.next()) {
        (Some((full, value)), None) => Ok((full, value)),
        (Some(_), Some(_)) => Err(ArgumentError::AmbiguousOutput { name: name.to_owned() }),
        _ if outputs.is_empty() => Err(ArgumentError::NotDeployed {
            environment: environment.to_owned(),
        }),
        _ => Err(ArgumentError::unknown(
            Named::Output,
            name,
            outputs.keys().map(String::as_str),
        )),
    }
}

fn render(outputs: &BTreeMap<String, String>, format: Format) -> String {
    let lines: Vec<String> = match format {
        Format::Text => outputs.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        Format::Json => vec![format!("{:#}", json!(outputs))],
        Format::Env => outputs.iter().map(|(name, value)| assignment(name, value)).collect(),
    };
    lines.join("\n")
}

/// Renders `NETWORK_VPC_ID='vpc-1'`, which every POSIX shell reads.
fn assignment(name: &str, value: &str) -> String {
    format!("{}='{}'", variable(name), value.replace('\'', r"'\''"))
}

/// Converts a name to upper case with `_` between its words: the name of a variable consists of A-Z, 0-9 and `_`.
fn variable(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (at, &c) in characters.iter().enumerate() {
        let next_is_lower = characters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let starts_word = at > 0
            && c.is_ascii_uppercase()
            && (characters[at - 1].is_ascii_lowercase()
                || characters[at - 1].is_ascii_digit()
                || characters[at - 1].is_ascii_uppercase() && next_is_lower);
        if starts_word || at == 0 && c.is_ascii_digit() {
            text.push('_');
        }
        text.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_env_writes() {
        let value = "it's \"$HOME\" `id` \\ and\na second line";
        let outputs = BTreeMap::from([("network.VpcId".to_owned(), value.to_owned())]);
        let script = format!("{}\nprintf %s \"$NETWORK_VPC_ID\"", render(&outputs, Format::Env));
        let output = Command::new("sh").arg("-c").arg(script).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), value);
    }

    #[test]
    fn a_name_becomes_a_variable_word_by_word() {
        assert_eq!(variable("url"), "URL");
        assert_eq!(
            variable("platform.LoadBalancerDnsName"),
            "PLATFORM_LOAD_BALANCER_DNS_NAME"
        );
        assert_eq!(variable("auth-service.HTTPSPort2Name"), "AUTH_SERVICE_HTTPS_PORT2_NAME");
        assert_eq!(variable("2x"), "_2X");
    }

    #[test]
    fn an_output_is_found_by_its_short_name_unless_two_stacks_have_it() {
        let outputs = ["a.ServiceName", "b.ServiceName", "network.VpcId", "url"];
        let outputs: BTreeMap<_, _> = outputs.map(|name| (name.to_owned(), format!("value of {name}"))).into();
        assert_eq!(
            find(&outputs, "VpcId", "x").unwrap(),
            ("network.VpcId", "value of network.VpcId")
        );
        assert_eq!(find(&outputs, "url", "x").unwrap().1, "value of url");
        assert!(matches!(
            find(&outputs, "ServiceName", "x"),
            Err(ArgumentError::AmbiguousOutput { .. })
        ));
        assert!(matches!(
            find(&BTreeMap::new(), "url", "shop-dev"),
            Err(ArgumentError::NotDeployed { environment }) if environment == "shop-dev"
        ));
        assert!(matches!(
            find(&outputs, "ulr", "x"),
            Err(ArgumentError::Unknown {
                named: Named::Output,
                ..
            })
        ));
    }
}
