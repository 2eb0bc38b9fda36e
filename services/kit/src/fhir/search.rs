//! Search parameters (FHIR R4, 3.1.1), and the bundle of the matches.

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::negotiation::expect_json;
use crate::problem::{Problem, Result};

/// Resources of a page without `_count`.
const DEFAULT_COUNT: i64 = 20;
/// Maximum number of resources of a page; a larger `_count` is reduced to it.
const MAX_COUNT: i64 = 100;
/// Maximum number of values of all parameters.
const MAX_VALUES: usize = 20;
/// Longest name of an ignored parameter that a response repeats.
const MAX_NAME: usize = 40;

/// A parameter that a resource type supports: its name, and its modifiers.
pub type Known = (&'static str, &'static [&'static str]);

/// A parameter of a search; one of its values must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name without the modifier.
    pub name: &'static str,
    /// Such as `exact`, from `name:exact`.
    pub modifier: Option<&'static str>,
    /// Values, which were separated by commas; at least one.
    pub values: Vec<String>,
}

/// A search: all of its parameters must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The supported parameters, in their order.
    pub parameters: Vec<Parameter>,
    /// Resources of the page, at most 100; with 0 the matches are only counted.
    pub count: i64,
    /// The parameter `cursor`, from the link to the page.
    pub cursor: Option<String>,
    /// Names and values of the parameters that were used, `_count` among them.
    used: Vec<(String, String)>,
    /// Names of the parameters that were not used.
    ignored: Vec<String>,
}

impl Search {
    /// Parses the parameters of a query string and, for `_search`, of a form.
    ///
    /// A parameter that is not known or has no value is ignored, and 400 with `Prefer: handling=strict` (3.1.1.3).
    ///
    /// # Errors
    /// 400 if a value or a modifier is malformed, 406 if `_format` is not JSON.
    pub fn parse(query: &str, form: &[u8], headers: &HeaderMap, known: &[Known]) -> Result<Self> {
        let query = form_urlencoded::parse(query.as_bytes());
        let search = Self::from_pairs(query.chain(form_urlencoded::parse(form)), known)?;
        if is_strict(headers) && !search.ignored.is_empty() {
            return Err(Problem::bad_request(search.not_used()));
        }
        Ok(search)
    }

    /// Parses pairs of a name and a value.
    ///
    /// # Errors
    /// 400 if a value or a modifier is malformed, 406 if `_format` is not JSON.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
        known: &[Known],
    ) -> Result<Self> {
        let mut search = Self {
            count: DEFAULT_COUNT,
            ..Self::default()
        };
        for (full, value) in pairs {
            let (name, modifier) = match full.split_once(':') {
                Some((name, modifier)) => (name, Some(modifier)),
                None => (&*full, None),
            };
            match (name, known.iter().find(|(known, _)| *known == name)) {
                _ if value.contains('\0') => return Err(Problem::bad_request("A parameter contains a NUL character")),
                ("_format", _) => expect_json(&value)?,
                ("cursor", _) => search.cursor = Some(value.into_owned()),
                ("_count", _) => search.set_count(&value)?,
                (_, Some((name, modifiers))) if !value.is_empty() => {
                    search.add(name, modifiers, modifier, &value)?;
                    search.used.push((full.into_owned(), value.into_owned()));
                }
                _ => search.ignored.push(full.into_owned()),
            }
        }
        let values: usize = search.parameters.iter().map(|parameter| parameter.values.len()).sum();
        if values > MAX_VALUES {
            return Err(Problem::bad_request(format!(
                "A search has at most {MAX_VALUES} values"
            )));
        }
        Ok(search)
    }

    fn set_count(&mut self, value: &str) -> Result<()> {
        let count = value.parse().ok().filter(|count: &i64| *count >= 0);
        let count = count.ok_or_else(|| Problem::field("_count", "This must be a whole number, 0 or more"))?;
        self.count = count.min(MAX_COUNT);
        self.used.retain(|(name, _)| name != "_count");
        self.used.push(("_count".to_owned(), self.count.to_string()));
        Ok(())
    }

    fn add(
        &mut self,
        name: &'static str,
        modifiers: &[&'static str],
        modifier: Option<&str>,
        value: &str,
    ) -> Result<()> {
        let modifier = modifier.map(|text| {
            let supported = modifiers.iter().find(|known| **known == text).copied();
            supported.ok_or_else(|| Problem::field(name, "This modifier is not supported"))
        });
        self.parameters.push(Parameter {
            name,
            modifier: modifier.transpose()?,
            values: split(value),
        });
        Ok(())
    }

    /// Returns names and values of the parameters that were used.
    pub fn used(&self) -> &[(String, String)] {
        &self.used
    }

    /// Returns the sentence about the parameters that were not used.
    fn not_used(&self) -> String {
        // Anything else may be a value, such as a person's name, and is not repeated.
        let is_name = |name: &&String| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte);
            name.len() <= MAX_NAME && name.bytes().all(allowed)
        };
        let names: Vec<&str> = self.ignored.iter().filter(is_name).map(String::as_str).collect();
        format!(
            "These parameters are not supported or have no value: {}",
            names.join(", ")
        )
    }
}

/// Returns true if the client prefers an error to a parameter that is ignored.
fn is_strict(headers: &HeaderMap) -> bool {
    let lines = headers.get_all("prefer").iter();
    let mut preferences = lines.flat_map(|line| line.to_str().unwrap_or_default().split([',', ';']));
    preferences.any(|one| one.trim().eq_ignore_ascii_case("handling=strict"))
}

/// Splits a value at its commas; `\,` is a comma of the value (3.1.1.4.1).
fn split(value: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let last = values.len() - 1;
        match character {
            '\\' => values[last].extend(characters.next()),
            ',' => values.push(String::new()),
            other => values[last].push(other),
        }
    }
    values.retain(|value| !value.is_empty());
    if values.is_empty() {
        values.push(String::new());
    }
    values
}

/// The result of a search.
#[derive(Debug, Clone)]
pub struct SearchSet {
    /// URL of the resource type.
    pub url: String,
    /// The matches of the page, with the URL of each.
    pub matches: Vec<(String, Value)>,
    /// Number of all matches, if it is known.
    pub total: Option<i64>,
    /// Parameters of the next page, if there is one.
    pub next: Option<Vec<(String, String)>>,
}

impl SearchSet {
    /// Returns the bundle; it names the parameters that were used in its link `self`, and those that were ignored.
    pub fn bundle(self, search: &Search) -> Value {
        let link = |relation: &str, pairs: &[(String, String)]| {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            let separator = if query.is_empty() { "" } else { "?" };
            json!({"relation": relation, "url": format!("{}{separator}{query}", self.url)})
        };
        let cursor = search.cursor.clone().map(|cursor| ("cursor".to_owned(), cursor));
        let own: Vec<(String, String)> = search.used.iter().cloned().chain(cursor).collect();
        let mut links = vec![link("self", &own)];
        links.extend(self.next.as_deref().map(|pairs| link("next", pairs)));
        let mut entries: Vec<Value> = self
            .matches
            .into_iter()
            .map(|(url, resource)| json!({"fullUrl": url, "resource": resource, "search": {"mode": "match"}}))
            .collect();
        if !search.ignored.is_empty() && search.count > 0 {
            let issue = json!({"severity": "warning", "code": "not-supported", "diagnostics": search.not_used()});
            let outcome = json!({"resourceType": "OperationOutcome", "issue": [issue]});
            entries.push(json!({"resource": outcome, "search": {"mode": "outcome"}}));
        }
        let mut bundle = json!({"resourceType": "Bundle", "type": "searchset"});
        if let Some(total) = self.total {
            bundle["total"] = total.into();
        }
        bundle["link"] = links.into();
        if !entries.is_empty() {
            bundle["entry"] = entries.into();
        }
        bundle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Known] = &[("name", &["exact"]), ("date", &[])];

    fn parse(query: &str, prefer: &'static str) -> Result<Search> {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("prefer"),
            http::HeaderValue::from_static(prefer),
        )]);
        Search::parse(query, b"", &headers, KNOWN)
    }

    #[test]
    fn values_are_alternatives_and_parameters_conditions() {
        let search = parse("name=a%5C,b,c&name:exact=d&date=2024&_count=500&_format=json", "").expect("a search");
        let expected = [
            ("name", None, vec!["a,b", "c"]),
            ("name", Some("exact"), vec!["d"]),
            ("date", None, vec!["2024"]),
        ];
        assert_eq!(search.parameters.len(), 3);
        for (parameter, (name, modifier, values)) in search.parameters.iter().zip(expected) {
            assert_eq!((parameter.name, parameter.modifier), (name, modifier));
            assert_eq!(parameter.values, values);
        }
        assert_eq!(
            (
                search.count,
                search.used().len(),
                parse("", "").expect("a search").count
            ),
            (100, 4, 20)
        );
        let form = Search::parse("name=a", b"date=2024", &HeaderMap::new(), KNOWN).expect("a search");
        assert_eq!(form.parameters.len(), 2);
    }

    #[test]
    fn what_is_not_supported_is_ignored_or_refused_as_the_client_prefers() {
        for query in ["gender=male", "name=", "_include=Patient:x", "a.b=1"] {
            let lenient = parse(query, "handling=lenient").expect(query);
            assert_eq!((lenient.ignored.len(), lenient.parameters.len()), (1, 0), "{query}");
            assert_eq!(
                parse(query, "return=minimal, handling=strict")
                    .expect_err(query)
                    .status(),
                400
            );
        }
        let hidden = parse("Ada%20Lovelace=1", "handling=strict").expect_err("strict");
        assert!(!hidden.detail().contains("Ada"));
        // A modifier that is ignored would change the meaning of the search.
        for query in [
            "name:contains=a",
            "date:missing=true",
            "_count=-1",
            "_count=x",
            "name=%00",
        ] {
            assert_eq!(parse(query, "handling=lenient").expect_err(query).status(), 400);
        }
        assert_eq!(parse("_format=xml", "").expect_err("XML").status(), 406);
        let many = format!("name={}", "a,".repeat(21));
        assert_eq!(parse(&many, "").expect_err("many").status(), 400);
    }

    #[test]
    fn a_bundle_has_no_empty_list_and_says_what_was_used_and_ignored() {
        let search = parse("name=A%26B&gender=male", "").expect("a search");
        let set = |next: Option<Vec<(String, String)>>| SearchSet {
            url: "http://localhost/fhir/Patient".into(),
            matches: Vec::new(),
            total: Some(0),
            next,
        };
        let bundle = set(None).bundle(&search);
        assert_eq!(
            bundle["link"],
            json!([{"relation": "self", "url": "http://localhost/fhir/Patient?name=A%26B"}])
        );
        assert_eq!(bundle["entry"][0]["search"]["mode"], "outcome");
        let bundle = set(Some(vec![("cursor".into(), "x".into())])).bundle(&parse("", "").expect("a search"));
        assert_eq!(bundle.get("entry"), None);
        assert_eq!(
            bundle["link"][1],
            json!({"relation": "next", "url": "http://localhost/fhir/Patient?cursor=x"})
        );
    }
}
