//! `deployer outputs`: what the stacks give away.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cloudformation::stack;
use crate::ecs::serving;
use crate::error::{Error, Result};
use crate::suggest::closest_match;
use crate::target::Session;

/// Print all outputs as STACK.NAME=VALUE, or the value of one; `url` is the system's URL.
///
/// With HTTPS on the embedded endpoint, `authority` is the file of the authority that vouches for that URL, as
/// `curl --cacert` takes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer outputs url                        the system's URL alone, for scripts
  deployer outputs network.VpcId
  eval \"$(deployer outputs --format env)\"     $NETWORK_VPC_ID, $URL, … in this shell
  deployer outputs --format json | jq -r '.url'

Exit codes: 0 printed; 1 no such output, or nothing is deployed or answers; 3 credentials or permission.")]
pub struct Args {
    /// `url`, `authority`, STACK.NAME, or NAME where only one stack has it.
    name: Option<String>,
    /// How to write them: lines for people, one JSON object (a string for one NAME), or quoted variables for a shell.
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
    let (stacks, url) = tokio::join!(stack::all(&aws, &prefix), serving::url(&aws, &plan));
    for (name, stack) in stacks? {
        let short = name.strip_prefix(&prefix).unwrap_or(&name);
        let named = stack.outputs.into_iter();
        outputs.extend(named.map(|(key, value)| (format!("{short}.{key}"), value)));
    }
    if let Some(url) = url? {
        let vouching = aws.endpoint.vouching.as_ref().filter(|_| url.starts_with("https:"));
        outputs.extend(vouching.map(|path| ("authority".into(), path.display().to_string())));
        outputs.insert("url".into(), url);
    }
    let Some(wanted) = &args.name else {
        session
            .ui
            .data("outputs", json!(outputs), &render(&outputs, args.format));
        return Ok(());
    };
    let (name, value) = one(&outputs, wanted, &format!("{}-{}", plan.project, plan.environment))?;
    let text = match args.format {
        Format::Text => value.to_owned(),
        Format::Json => json!(value).to_string(),
        Format::Env => assignment(name, value),
    };
    session.ui.data("outputs", json!({ wanted.as_str(): value }), &text);
    Ok(())
}

/// The output that is meant, by its full name or by the part that only one stack has.
fn one<'a>(outputs: &'a BTreeMap<String, String>, wanted: &str, system: &str) -> Result<(&'a str, &'a str)> {
    let short = |name: &str| name.split_once('.').is_some_and(|(_, output)| output == wanted);
    let mut found = outputs.iter().filter(|(name, _)| *name == wanted || short(name));
    match (found.next(), found.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (Some(_), Some(_)) => Err(Error::Usage(format!(
            "several stacks have an output '{wanted}'; name it as STACK.{wanted}"
        ))),
        _ if outputs.is_empty() => Err(Error::Usage(format!(
            "{system} is not deployed: `deployer up` deploys it"
        ))),
        _ => Err(Error::Usage(
            match closest_match(wanted, outputs.keys().map(String::as_str)) {
                Some(meant) => format!("there is no output '{wanted}'; did you mean '{meant}'?"),
                None => format!("there is no output '{wanted}'; `deployer outputs` lists them"),
            },
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

/// `NETWORK_VPC_ID='vpc-1'`, as every POSIX shell reads it.
fn assignment(name: &str, value: &str) -> String {
    format!("{}='{}'", variable(name), value.replace('\'', r"'\''"))
}

/// The name in capitals, with `_` between its words: a variable's name has letters, digits and `_` only.
fn variable(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (at, &c) in characters.iter().enumerate() {
        let next_is_lower = characters.get(at + 1).is_some_and(|next| next.is_ascii_lowercase());
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
            one(&outputs, "VpcId", "x").unwrap(),
            ("network.VpcId", "value of network.VpcId")
        );
        assert_eq!(one(&outputs, "url", "x").unwrap().1, "value of url");
        assert!(one(&outputs, "ServiceName", "x").is_err_and(|e| e.to_string().contains("several stacks")));
        assert!(
            one(&BTreeMap::new(), "url", "shop-dev").is_err_and(|e| e.to_string().contains("shop-dev is not deployed"))
        );
    }
}
