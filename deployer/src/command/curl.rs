//! The commands that `up` ends with, to be pasted as they are printed.

use std::path::Path;

use regex::{Captures, Regex};

/// The manifest's lines with the system's URL; curl is told whom to trust where the machine does not know.
pub fn lines(given: &[String], url: &str, authority: Option<&Path>) -> Vec<String> {
    let authority = authority.filter(|_| url.starts_with("https:"));
    let filled = given.iter().map(|line| match authority {
        Some(path) => trusting(line, path).replace("{url}", url),
        None => line.replace("{url}", url),
    });
    filled.collect()
}

/// `curl --cacert PATH` wherever a line runs curl: at its start, in a substitution, after an operator.
fn trusting(line: &str, authority: &Path) -> String {
    let path = authority.display().to_string().replace('\'', r"'\''");
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let path = if plain { path } else { format!("'{path}'") };
    let runs = Regex::new(r"(^\s*|[(;|&`]\s*)curl\s").expect("a pattern that is a constant");
    let with = |found: &Captures| format!("{}curl --cacert {path} ", &found[1]);
    runs.replace_all(line, with).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = "curl -s {url}/a?x=1 -H \"B: $(curl -s {url}/curl | sed 's/curl //')\" | curl -d @- {url}";

    #[test]
    fn every_curl_is_told_whom_to_trust_where_the_endpoint_vouches_for_itself() {
        let told = lines(
            &[LOGIN.to_owned()],
            "https://localhost:8443",
            Some(Path::new("/s/a.pem")),
        );
        assert_eq!(
            told[0],
            "curl --cacert /s/a.pem -s https://localhost:8443/a?x=1 -H \"B: $(curl --cacert /s/a.pem -s \
             https://localhost:8443/curl | sed 's/curl //')\" | curl --cacert /s/a.pem -d @- https://localhost:8443"
        );
        let spaced = lines(
            &["curl {url}".to_owned()],
            "https://localhost",
            Some(Path::new("/it's me/a.pem")),
        );
        assert_eq!(spaced[0], r"curl --cacert '/it'\''s me/a.pem' https://localhost");
    }

    #[test]
    fn plain_http_and_authorities_that_every_machine_knows_need_no_telling() {
        let line = ["curl {url}/x".to_owned()];
        assert_eq!(lines(&line, "https://a.example", None), ["curl https://a.example/x"]);
        assert_eq!(
            lines(&line, "http://localhost", Some(Path::new("/s/a.pem"))),
            ["curl http://localhost/x"]
        );
    }
}
