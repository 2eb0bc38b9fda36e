//! Sends the requests of a file, one after the other.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use http::Method;
use serde_json::Value;

use super::{
    documents::Documents,
    file::{Entry, File},
};
use crate::{Client, Response};

/// Sends every request, and returns the unexpected results.
pub(super) async fn send_file(file: &File, url: &str, documents: &mut Documents) -> Vec<String> {
    let mut run = Run {
        file,
        url,
        responses: BTreeMap::new(),
    };
    let mut faults = Vec::new();
    for entry in &file.requests {
        if let Err(error) = run.send(entry, documents).await {
            faults.push(format!("{}: {}: {error:#}", file.name, entry.title));
        }
    }
    faults
}

struct Run<'a> {
    file: &'a File,
    url: &'a str,
    responses: BTreeMap<&'a str, Response>,
}

impl<'a> Run<'a> {
    async fn send(&mut self, entry: &'a Entry, documents: &mut Documents) -> anyhow::Result<()> {
        let url = self.resolve(&entry.url)?;
        let path = url
            .strip_prefix(self.url)
            .with_context(|| format!("`{}` does not begin with {{{{host}}}}", entry.url))?;
        let method: Method = entry.method.parse().context("unknown method")?;
        let client = Client::new(self.url);
        let mut request = client.request(method, path);
        for (name, value) in &entry.headers {
            request = request.header(name, &self.resolve(value)?);
        }
        if let Some(body) = &entry.body {
            request = request.body(self.resolve(body)?);
        }
        let response = request.send().await?;
        let status = response.status;
        ensure!(
            status.as_u16() == entry.answers,
            "the status is {status}: {}",
            response.text()
        );
        let path = path.split('?').next().unwrap_or_default();
        documents.record(&entry.method, path, entry.answers)?;
        if let Some(name) = &entry.name {
            self.responses.insert(name, response);
        }
        Ok(())
    }

    /// Replaces each `{{reference}}`.
    fn resolve(&self, text: &str) -> anyhow::Result<String> {
        let mut resolved = String::new();
        let mut unresolved = text;
        while let Some((before, reference)) = unresolved.split_once("{{") {
            let (reference, after) = reference
                .split_once("}}")
                .with_context(|| format!("`{text}` has an open brace"))?;
            resolved += before;
            resolved += &self.value(reference.trim())?;
            unresolved = after;
        }
        Ok(resolved + unresolved)
    }

    fn value(&self, reference: &str) -> anyhow::Result<String> {
        if reference == "host" {
            return Ok(self.url.to_owned());
        }
        if reference == "$timestamp" {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            return Ok(now.as_secs().to_string());
        }
        if let Some((_, value)) = self.file.variables.iter().find(|(name, _)| name == reference) {
            return self.resolve(value);
        }
        let unknown = || format!("`{{{{{reference}}}}}` does not resolve");
        let (name, part) = reference.split_once(".response.").with_context(unknown)?;
        let response = self
            .responses
            .get(name)
            .with_context(|| format!("`{name}` has no response yet"))?;
        if let Some(header) = part.strip_prefix("headers.") {
            return response.header(header).map(str::to_owned).with_context(unknown);
        }
        let path = part.strip_prefix("body.$").with_context(unknown)?;
        let found =
            path.split(['.', '[', ']'])
                .filter(|step| !step.is_empty())
                .try_fold(response.json(), |value, step| match step.parse::<usize>() {
                    Ok(index) => value.get(index).cloned(),
                    Err(_) => value.get(step).cloned(),
                });
        match found.with_context(unknown)? {
            Value::String(text) => Ok(text),
            other => Ok(other.to_string()),
        }
    }
}
