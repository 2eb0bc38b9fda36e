//! Sends the requests of a file, one after the other.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use end_to_end::{Answer, Client};
use http::Method;
use serde_json::Value;

use super::{
    documents::Documents,
    file::{Entry, File},
};

/// Sends them all; gives what was not as it should be.
pub async fn all(file: &File, url: &str, documents: &mut Documents) -> Vec<String> {
    let mut run = Run {
        file,
        url,
        answers: BTreeMap::new(),
    };
    let mut wrong = Vec::new();
    for entry in &file.requests {
        if let Err(words) = run.send(entry, documents).await {
            wrong.push(format!("{}: {}: {words}", file.name, entry.title));
        }
    }
    wrong
}

struct Run<'a> {
    file: &'a File,
    url: &'a str,
    answers: BTreeMap<&'a str, Answer>,
}

impl<'a> Run<'a> {
    async fn send(&mut self, entry: &'a Entry, documents: &mut Documents) -> Result<(), String> {
        let url = self.resolve(&entry.url)?;
        let path = url
            .strip_prefix(self.url)
            .ok_or_else(|| format!("`{}` does not begin with {{{{host}}}}", entry.url))?;
        let method: Method = entry.method.parse().map_err(|_| "no such method".to_owned())?;
        let client = Client::new(self.url);
        let mut request = client.request(method, path);
        for (name, value) in &entry.headers {
            request = request.header(name, &self.resolve(value)?);
        }
        if let Some(body) = &entry.body {
            request = request.body(self.resolve(body)?);
        }
        let answer = request.send().await?;
        if answer.status.as_u16() != entry.answers {
            return Err(format!("answers {}: {}", answer.status, answer.text()));
        }
        let path = path.split('?').next().unwrap_or_default();
        documents.tell(&entry.method, path, entry.answers)?;
        if let Some(name) = &entry.name {
            self.answers.insert(name, answer);
        }
        Ok(())
    }

    /// Replaces each `{{reference}}`.
    fn resolve(&self, text: &str) -> Result<String, String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some((before, reference)) = rest.split_once("{{") {
            let (reference, after) = reference
                .split_once("}}")
                .ok_or_else(|| format!("`{text}` has an open brace"))?;
            resolved += before;
            resolved += &self.value(reference.trim())?;
            rest = after;
        }
        Ok(resolved + rest)
    }

    fn value(&self, reference: &str) -> Result<String, String> {
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
        let unknown = || format!("`{{{{{reference}}}}}` refers to nothing");
        let (name, part) = reference.split_once(".response.").ok_or_else(unknown)?;
        let answer = self
            .answers
            .get(name)
            .ok_or_else(|| format!("`{name}` was not answered before"))?;
        if let Some(header) = part.strip_prefix("headers.") {
            return answer.header(header).map(str::to_owned).ok_or_else(unknown);
        }
        let path = part.strip_prefix("body.$").ok_or_else(unknown)?;
        let found = path.split(['.', '[', ']']).filter(|step| !step.is_empty()).try_fold(
            answer.json(),
            |value, step| match step.parse::<usize>() {
                Ok(index) => value.get(index).cloned(),
                Err(_) => value.get(step).cloned(),
            },
        );
        match found.ok_or_else(unknown)? {
            Value::String(text) => Ok(text),
            other => Ok(other.to_string()),
        }
    }
}
