//! The environment of a container: of the image, files, the definition, secrets and the endpoint.

use anyhow::{Context as _, bail};
use indexmap::IndexMap;
use serde_json::Value;

use super::members::{list, text};
use super::model::Task;
use super::{credentials, metadata, secrets};
use crate::Context;
use crate::service::s3;

/// Returns the complete environment of a container.
///
/// # Errors
/// The secret or the file that cannot be read.
pub async fn of(
    cx: &Context,
    task: &Task,
    definition: &Value,
    container: &Value,
    overrides: &Value,
    of_image: &[String],
) -> anyhow::Result<Vec<(String, String)>> {
    let mut env: IndexMap<String, String> = IndexMap::new();
    for pair in of_image {
        if let Some((key, value)) = pair.split_once('=') {
            env.insert(key.to_owned(), value.to_owned());
        }
    }
    env.entry("PATH".into())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    env.extend(of_files(cx, list(container, "environmentFiles"))?);
    env.extend(pairs(container));
    env.extend(of_files(cx, list(overrides, "environmentFiles"))?);
    env.extend(pairs(overrides));
    for secret in list(container, "secrets") {
        let (Some(key), Some(from)) = (text(secret, "name"), text(secret, "valueFrom")) else {
            continue;
        };
        let value = secrets::value(cx, from).await.context(
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed",
        )?;
        env.insert(key.to_owned(), value);
    }
    let endpoint = format!("http://127.0.0.1:{}", cx.config().port);
    env.insert("HOST".into(), task.address.to_string());
    env.insert("AWS_REGION".into(), cx.region().into());
    env.insert("AWS_DEFAULT_REGION".into(), cx.region().into());
    env.insert("AWS_ENDPOINT_URL".into(), endpoint);
    env.extend(metadata::variables(
        cx,
        task,
        text(container, "name").unwrap_or_default(),
    ));
    env.extend(credentials::variables(cx, task, definition)?);
    Ok(env.into_iter().collect())
}

fn pairs(of: &Value) -> impl Iterator<Item = (String, String)> {
    list(of, "environment").iter().filter_map(|pair| {
        let value = text(pair, "value").unwrap_or_default();
        Some((text(pair, "name")?.to_owned(), value.to_owned()))
    })
}

/// Returns the variables of files in S3. Of a variable that several files set, the first one counts (Amazon ECS Developer Guide, "Pass an
/// individual environment variable to an Amazon ECS container").
fn of_files(cx: &Context, files: &[Value]) -> anyhow::Result<IndexMap<String, String>> {
    let mut found = IndexMap::new();
    for file in files {
        let arn = text(file, "value").unwrap_or_default();
        for (key, value) in read(cx, arn)
            .with_context(|| format!("ResourceInitializationError: failed to download env files: {arn}"))?
        {
            found.entry(key).or_insert(value);
        }
    }
    Ok(found)
}

fn read(cx: &Context, arn: &str) -> anyhow::Result<Vec<(String, String)>> {
    let Some((bucket, key)) = arn.strip_prefix("arn:aws:s3:::").and_then(|path| path.split_once('/')) else {
        bail!("it is not the ARN of an object");
    };
    let address = s3::Address {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    };
    let bytes = s3::read(cx, &address).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Parses `VARIABLE=VALUE` lines; a line that begins with `#` is a comment.
fn parse(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_variable_in_each_line() {
        let text = "# a comment\nA=1\n\n B=x = y \nnone\r\nC='z'\r\n";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parse(text), [pair("A", "1"), pair("B", "x = y "), pair("C", "'z'")]);
    }
}
