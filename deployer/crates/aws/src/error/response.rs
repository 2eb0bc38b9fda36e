//! Descriptions of responses that are not AWS responses: other endpoints, and proxies in front of them, send pages, nothing, or
//! another protocol.

/// Maximum characters of a body that are quoted.
const MAX_QUOTE: usize = 200;

/// Codes with which endpoints report that they do not know an operation.
const UNKNOWN_OPERATION: [&str; 8] = [
    "InvalidAction",
    "NotImplemented",
    "NotImplementedException",
    "NotYetImplemented",
    "UnknownOperation",
    "UnknownOperationException",
    "UnsupportedOperation",
    "UnsupportedOperationException",
];

/// Returns whether an error means that the endpoint lacks the operation or the service. LocalStack answers 501 with the code
/// `InternalFailure`, moto 501 with a page or 404.
pub fn is_unsupported(status: u16, code: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    status == 501
        || UNKNOWN_OPERATION.contains(&code)
        || is_license(&message)
        || message.contains("not yet been emulated")
        || message.contains("not yet been implemented")
        || message.contains("not supported by this version of localstack")
}

/// Returns whether a message with another code means the same. Imitations of AWS have no common code for it.
pub fn reports_unsupported(message: &str) -> bool {
    let message = message.to_lowercase();
    let phrases = [
        "not implemented",
        "not been implemented",
        "not yet implemented",
        "not supported",
    ];
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// Returns whether a message names resource types that the endpoint does not know. CloudFormation's code is `ValidationError` for
/// every fault of a template; the second text is LocalStack's.
pub fn names_types(message: &str) -> bool {
    message.contains("Unrecognized resource types") || message.contains("Unsupported resources detected")
}

/// Returns whether the endpoint's license lacks the service.
pub fn is_license(message: &str) -> bool {
    message.to_lowercase().contains("license")
}

/// Returns a response as text, `HTTP 500 with a page: "Internal Server Error"`. `body` is `None` if the connection closed before the
/// response was complete.
pub fn describe(status: u16, content_type: &str, body: Option<&[u8]>) -> String {
    match body {
        None => format!("HTTP {status}, closed before the response was complete"),
        Some([]) => format!("HTTP {status} with an empty body"),
        Some(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let format = if is_page(content_type, &text) {
                "a page"
            } else if text.trim_start().starts_with('<') {
                "XML"
            } else if text.trim_start().starts_with('{') {
                "JSON"
            } else {
                "a text"
            };
            format!("HTTP {status} with {format}: \"{}\"", quote(&text))
        }
    }
}

fn is_page(content_type: &str, text: &str) -> bool {
    let begin = text.trim_start().to_lowercase();
    content_type.starts_with("text/html") || begin.starts_with("<!doctype html") || begin.starts_with("<html")
}

/// Returns the beginning of the readable text, without tags, on one line.
fn quote(text: &str) -> String {
    let mut text_only = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text_only.push(' ');
            }
            _ if inside => {}
            c if c.is_control() || c.is_whitespace() => text_only.push(' '),
            c => text_only.push(c),
        }
    }
    let words: Vec<&str> = text_only.split_whitespace().collect();
    let words = words.join(" ");
    match words.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_quoted_as_its_text() {
        let page = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Oops</h1>";
        assert_eq!(quote(page), "500 Internal Server Error Oops");
        assert_eq!(quote(&"é".repeat(500)).chars().count(), MAX_QUOTE + 1);
    }
}
