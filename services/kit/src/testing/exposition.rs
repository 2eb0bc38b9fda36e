//! The text format of Prometheus, read as strictly as `promtool check metrics` reads it.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One line of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name, with the suffix that a histogram's parts have.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Reads what `/metrics` gives.
///
/// # Errors
/// The first thing that is wrong: a line's syntax, a metric without HELP or TYPE, a counter not named `_total`, a
/// series that is there twice, or a histogram whose buckets do not add up.
pub fn read(text: &str) -> Result<Vec<Sample>, String> {
    let (mut types, mut helps) = (HashMap::new(), HashSet::new());
    let mut samples: Vec<Sample> = Vec::new();
    let mut seen = HashSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').ok_or_else(|| format!("no words: {line}"))?;
            if words.is_empty() || !helps.insert(name.to_owned()) {
                return Err(format!("HELP is empty or there twice: {line}"));
            }
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or_else(|| format!("no type: {line}"))?;
            if types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(format!("TYPE is there twice: {line}"));
            }
        } else if !line.starts_with('#') {
            let sample = sample(line).ok_or_else(|| format!("not a sample: {line}"))?;
            let family = family(&sample.name, &types).ok_or_else(|| format!("no TYPE before: {line}"))?;
            if !helps.contains(&family) {
                return Err(format!("{family} is not described"));
            }
            if types[&family] == "counter" && !family.ends_with("_total") {
                return Err(format!("{family} is a counter, so its name ends with _total"));
            }
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(format!("the series is there twice: {line}"));
            }
            samples.push(sample);
        }
    }
    histograms(&samples)?;
    Ok(samples)
}

/// The metric that a sample belongs to: histograms have parts.
fn family(name: &str, types: &HashMap<String, String>) -> Option<String> {
    if types.contains_key(name) {
        return Some(name.to_owned());
    }
    let parts = ["_bucket", "_sum", "_count"];
    let whole = parts.iter().find_map(|part| name.strip_suffix(part))?;
    types.get(whole).filter(|kind| *kind == "histogram")?;
    Some(whole.to_owned())
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

/// Reads `key="value",…}` and gives what follows.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, after) = rest.split_once("=\"")?;
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
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn legal(name: &str) -> bool {
    let mut characters = name.chars();
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    characters.next().is_some_and(first) && characters.all(|c| first(c) || c.is_ascii_digit())
}

/// Buckets ascend, and the last one holds everything that was counted.
fn histograms(samples: &[Sample]) -> Result<(), String> {
    let mut last: HashMap<(String, BTreeMap<String, String>), f64> = HashMap::new();
    for sample in samples {
        if let (Some(name), Some(bound)) = (sample.name.strip_suffix("_bucket"), sample.labels.get("le")) {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            let below = last.insert((name.to_owned(), labels.clone()), sample.value);
            if below.is_some_and(|below| below > sample.value) {
                return Err(format!("the buckets of {name} {labels:?} do not ascend"));
            }
            let count = samples
                .iter()
                .find(|other| other.name == format!("{name}_count") && other.labels == labels);
            if bound == "+Inf" && count.map(|count| count.value) != Some(sample.value) {
                return Err(format!("the last bucket of {name} {labels:?} is not its count"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_takes_is_read() {
        let text = "# HELP a_total Words.\n# TYPE a_total counter\na_total{x=\"1\\\"\",y=\"\"} 3\n\n# HELP b Words.\n\
                    # TYPE b histogram\nb_bucket{le=\"1\"} 1\nb_bucket{le=\"+Inf\"} 2\nb_sum 1.5\nb_count 2\n";
        let samples = read(text).expect("good text");
        assert_eq!(samples.len(), 5);
        assert_eq!((samples[0].labels["x"].as_str(), samples[0].value), ("1\"", 3.0));
    }

    #[test]
    fn what_prometheus_would_not_take_or_not_understand_is_refused() {
        let described = "# HELP a_total Words.\n# TYPE a_total counter\n";
        for (bad, why) in [
            ("# TYPE a_total counter\na_total 1", "not described"),
            ("a_total 1", "no TYPE"),
            ("# HELP a Words.\n# TYPE a counter\na 1", "_total"),
            (&format!("{described}a_total{{x=\"1}} 1") as &str, "not a sample"),
            (&format!("{described}a_total x"), "not a sample"),
            (&format!("{described}a_total 1\na_total 2"), "twice"),
            (
                "# HELP b W.\n# TYPE b histogram\nb_bucket{le=\"1\"} 3\nb_bucket{le=\"+Inf\"} 2\nb_sum 1\nb_count 2",
                "ascend",
            ),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
