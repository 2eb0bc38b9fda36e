//! The commands at the end of `up`, which work when they are pasted.

use std::path::Path;

use regex::{Captures, Regex};

/// Returns the manifest's commands with the system's URL, and with the CA file of an HTTPS endpoint that is not in the trust store.
pub fn commands(lines: &[String], url: &str, ca_file: Option<&Path>) -> Vec<String> {
    let ca_file = ca_file.filter(|_| url.starts_with("https:"));
    let filled = lines.iter().map(|line| match ca_file {
        Some(path) => with_ca_file(line, path).replace("{url}", url),
        None => line.replace("{url}", url),
    });
    filled.collect()
}

/// Inserts `--cacert PATH` wherever a command runs curl: at its start, in a substitution, after an operator.
fn with_ca_file(line: &str, ca_file: &Path) -> String {
    let path = ca_file.display().to_string().replace('\'', r"'\''");
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let path = if plain { path } else { format!("'{path}'") };
    let invocation = Regex::new(r"(^\s*|[(;|&`]\s*)curl\s").expect("a constant pattern");
    let with = |found: &Captures| format!("{}curl --cacert {path} ", &found[1]);
    invocation.replace_all(line, with).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = "curl -s {url}/a?x=1 -H \"B: $(curl -s {url}/curl | sed 's/curl //')\" | curl -d @- {url}";

    #[test]
    fn every_curl_gets_the_ca_file_of_the_endpoint() {
        let pasted = commands(
            &[LOGIN.to_owned()],
            "https://localhost:8443",
            Some(Path::new("/s/a.pem")),
        );
        assert_eq!(
            pasted[0],
            "curl --cacert /s/a.pem -s https://localhost:8443/a?x=1 -H \"B: $(curl --cacert /s/a.pem -s \
             https://localhost:8443/curl | sed 's/curl //')\" | curl --cacert /s/a.pem -d @- https://localhost:8443"
        );
        let spaced = commands(
            &["curl {url}".to_owned()],
            "https://localhost",
            Some(Path::new("/it's me/a.pem")),
        );
        assert_eq!(spaced[0], r"curl --cacert '/it'\''s me/a.pem' https://localhost");
    }

    #[test]
    fn http_and_public_certificates_need_no_ca_file() {
        let line = ["curl {url}/x".to_owned()];
        assert_eq!(commands(&line, "https://a.example", None), ["curl https://a.example/x"]);
        assert_eq!(
            commands(&line, "http://localhost", Some(Path::new("/s/a.pem"))),
            ["curl http://localhost/x"]
        );
    }
}
