//! Parser of Prometheus' text format, as strict as `promtool check metrics`.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One line of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name, with the suffix of a histogram's parts.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// The first fault of a text; each variant has the line, the metric or the series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A HELP line without text, or the second one of a metric.
    #[error("HELP is empty or duplicated: {0}")]
    Help(String),
    /// A TYPE line without a type, or the second one of a metric.
    #[error("TYPE is empty or duplicated: {0}")]
    Type(String),
    /// A line with a syntax error.
    #[error("not a sample: {0}")]
    Syntax(String),
    /// A sample before the TYPE of its metric.
    #[error("no TYPE before: {0}")]
    Untyped(String),
    /// A metric without HELP.
    #[error("{0} has no HELP")]
    Undescribed(String),
    /// A counter whose name does not end with `_total`.
    #[error("{0} is a counter, so its name must end with _total")]
    CounterName(String),
    /// A duplicated series.
    #[error("duplicated series: {0}")]
    Duplicate(String),
    /// A histogram whose buckets decrease, or whose last bucket differs from its count.
    #[error("the buckets of {0} are inconsistent")]
    Buckets(String),
}

/// Parses the text of `/metrics`.
///
/// # Errors
/// The first fault of the text.
pub fn read(text: &str) -> Result<Vec<Sample>, FormatError> {
    let (mut types, mut helps) = (HashMap::new(), HashSet::new());
    let mut samples: Vec<Sample> = Vec::new();
    let mut series = HashSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, description) = help.split_once(' ').ok_or_else(|| FormatError::Help(line.to_owned()))?;
            if description.is_empty() || !helps.insert(name.to_owned()) {
                return Err(FormatError::Help(line.to_owned()));
            }
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or_else(|| FormatError::Type(line.to_owned()))?;
            if types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(FormatError::Type(line.to_owned()));
            }
        } else if !line.starts_with('#') {
            let sample = sample(line).ok_or_else(|| FormatError::Syntax(line.to_owned()))?;
            let family = family(&sample.name, &types).ok_or_else(|| FormatError::Untyped(line.to_owned()))?;
            if !helps.contains(&family) {
                return Err(FormatError::Undescribed(family));
            }
            if types[&family] == "counter" && !family.ends_with("_total") {
                return Err(FormatError::CounterName(family));
            }
            if !series.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(FormatError::Duplicate(line.to_owned()));
            }
            samples.push(sample);
        }
    }
    histograms(&samples)?;
    Ok(samples)
}

/// Returns the metric of a sample: histograms have parts.
fn family(name: &str, types: &HashMap<String, String>) -> Option<String> {
    if types.contains_key(name) {
        return Some(name.to_owned());
    }
    let parts = ["_bucket", "_sum", "_count"];
    let histogram = parts.iter().find_map(|part| name.strip_suffix(part))?;
    types.get(histogram).filter(|kind| *kind == "histogram")?;
    Some(histogram.to_owned())
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = match value.trim() {
        "+Inf" => f64::INFINITY,
        text => text.parse().ok()?,
    };
    legal(name).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Parses `key="value",…}` and returns the text after it.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(after) = text.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, after) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    plain @ ('\\' | '"') => value.push(plain),
                    _ => return None,
                },
                (_, plain) => value.push(plain),
            }
        };
        if !legal(key) || key.contains(':') || labels.insert(key.to_owned(), value).is_some() {
            return None;
        }
        text = &after[end + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
}

fn legal(name: &str) -> bool {
    let mut characters = name.chars();
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    characters.next().is_some_and(first) && characters.all(|c| first(c) || c.is_ascii_digit())
}

/// Checks that buckets ascend, and that the last one equals the count.
fn histograms(samples: &[Sample]) -> Result<(), FormatError> {
    let mut last: HashMap<(String, BTreeMap<String, String>), f64> = HashMap::new();
    for sample in samples {
        if let (Some(name), Some(bound)) = (sample.name.strip_suffix("_bucket"), sample.labels.get("le")) {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            let below = last.insert((name.to_owned(), labels.clone()), sample.value);
            if below.is_some_and(|below| below > sample.value) {
                return Err(FormatError::Buckets(name.to_owned()));
            }
            let count = samples
                .iter()
                .find(|other| other.name == format!("{name}_count") && other.labels == labels);
            if bound == "+Inf" && count.map(|count| count.value) != Some(sample.value) {
                return Err(FormatError::Buckets(name.to_owned()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_text_is_parsed() {
        let text = "# HELP a_total Words.\n# TYPE a_total counter\na_total{x=\"1\\\"\",y=\"\"} 3\n\n# HELP b Words.\n\
                    # TYPE b histogram\nb_bucket{le=\"1\"} 1\nb_bucket{le=\"+Inf\"} 2\nb_sum 1.5\nb_count 2\n";
        let samples = read(text).expect("good text");
        assert_eq!(samples.len(), 5);
        assert_eq!((samples[0].labels["x"].as_str(), samples[0].value), ("1\"", 3.0));
    }

    #[test]
    fn invalid_text_is_rejected() {
        let described = "# HELP a_total Words.\n# TYPE a_total counter\n";
        for (bad, error) in [
            (
                "# TYPE a_total counter\na_total 1",
                FormatError::Undescribed("a_total".into()),
            ),
            ("a_total 1", FormatError::Untyped("a_total 1".into())),
            (
                "# HELP a Words.\n# TYPE a counter\na 1",
                FormatError::CounterName("a".into()),
            ),
            (
                &format!("{described}a_total{{x=\"1}} 1") as &str,
                FormatError::Syntax("a_total{x=\"1} 1".into()),
            ),
            (
                &format!("{described}a_total x"),
                FormatError::Syntax("a_total x".into()),
            ),
            (
                &format!("{described}a_total 1\na_total 2"),
                FormatError::Duplicate("a_total 2".into()),
            ),
            (
                "# HELP b W.\n# TYPE b histogram\nb_bucket{le=\"1\"} 3\nb_bucket{le=\"+Inf\"} 2\nb_sum 1\nb_count 2",
                FormatError::Buckets("b".into()),
            ),
        ] {
            assert_eq!(read(bad), Err(error), "{bad}");
        }
    }
}
