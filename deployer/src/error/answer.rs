//! What an answer that is no AWS answer says: endpoints that are not AWS, and whatever stands before them, send pages,
//! nothing, or another protocol.

use aws_sdk_cloudformation::config::http::HttpResponse;

/// How much of a body is quoted, in characters.
const QUOTED: usize = 160;

/// Codes with which endpoints say that they do not know an operation at all.
const UNKNOWN: [&str; 8] = [
    "InvalidAction",
    "NotImplemented",
    "NotImplementedException",
    "NotYetImplemented",
    "UnknownOperation",
    "UnknownOperationException",
    "UnsupportedOperation",
    "UnsupportedOperationException",
];

/// Whether an error means that the endpoint has no such operation or service. LocalStack answers 501 with the code
/// `InternalFailure`, moto 501 with a page or 404.
pub fn is_unsupported(status: u16, code: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    status == 501
        || UNKNOWN.contains(&code)
        || message.contains("license")
        || message.contains("not yet been emulated")
        || message.contains("not yet been implemented")
        || message.contains("not supported by this version of localstack")
}

/// Whether a message that came with some other code says so: each imitation has its own words.
pub fn says_unsupported(message: &str) -> bool {
    let message = message.to_lowercase();
    let words = [
        "not implemented",
        "not been implemented",
        "not yet implemented",
        "not supported",
    ];
    words.iter().any(|words| message.contains(words))
}

/// Whether a message is about resource types that are not there: CloudFormation's words, and LocalStack's.
pub fn names_types(message: &str) -> bool {
    message.contains("Unrecognized resource types") || message.contains("Unsupported resources detected")
}

/// Whether a code means that the endpoint itself failed.
pub fn is_fault(code: &str) -> bool {
    code.starts_with("Http") || matches!(code, "InternalError" | "InternalFailure" | "ServiceUnavailable")
}

/// Whether the plan of the endpoint, not its programming, is what lacks.
pub fn is_licence(message: &str) -> bool {
    message.to_lowercase().contains("license")
}

/// Whether a proxy says that what is behind it does not answer: worth asking again.
pub fn is_gateway(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// What came instead of an answer, in words: `HTTP 500 with a page: "Internal Server Error"`.
pub fn describe(response: &HttpResponse) -> String {
    let kind = response.headers().get("content-type").unwrap_or_default();
    describe_parts(response.status().as_u16(), kind, response.body().bytes())
}

/// The same of an answer's status, content type and body; the body is none where the connection ended before it did.
pub fn describe_parts(status: u16, kind: &str, body: Option<&[u8]>) -> String {
    match body {
        None => format!("HTTP {status}, and the connection ended before the whole answer was there"),
        Some([]) => format!("HTTP {status} with nothing in it"),
        Some(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let what = if is_page(kind, &text) {
                "a page"
            } else if text.trim_start().starts_with('<') {
                "XML"
            } else if text.trim_start().starts_with('{') {
                "JSON"
            } else {
                "a text"
            };
            format!(
                "HTTP {status} with {what} that is no answer to this: \"{}\"",
                quote(&text)
            )
        }
    }
}

fn is_page(content_type: &str, text: &str) -> bool {
    let begin = text.trim_start().to_lowercase();
    content_type.starts_with("text/html") || begin.starts_with("<!doctype html") || begin.starts_with("<html")
}

/// The beginning of what a person would read: without tags, on one line.
fn quote(text: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                plain.push(' ');
            }
            _ if inside => {}
            c if c.is_control() || c.is_whitespace() => plain.push(' '),
            c => plain.push(c),
        }
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    let words = words.join(" ");
    match words.char_indices().nth(QUOTED) {
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
        assert_eq!(quote(&"é".repeat(500)).chars().count(), QUOTED + 1);
    }
}
