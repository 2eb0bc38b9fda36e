//! Desync mitigation: the classification of a request by its head, as it was sent.
//!
//! "Access logs for your Application Load Balancer" has the reasons and their classes ("Classification reasons"), "Application Load
//! Balancers" the effect of the modes ("Desync mitigation mode").

/// The attribute `routing.http.desync_mitigation_mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything is routed.
    Monitor,
    /// Severe requests are blocked, and ambiguous ones are routed on connections that are closed afterwards.
    #[default]
    Defensive,
    /// Only compliant requests are routed.
    Strictest,
}

/// The class of a request, from harmless to dangerous.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    #[default]
    Compliant,
    Acceptable,
    Ambiguous,
    Severe,
}

/// The result of an inspection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    pub class: Class,
    /// The first reason of that class; empty for a compliant request.
    pub reason: &'static str,
    /// True if the request's target has a fragment, which the parser removes.
    pub has_fragment: bool,
}

impl Mode {
    /// Returns true if requests of the class are not routed.
    pub fn blocks(self, class: Class) -> bool {
        match self {
            Self::Monitor => false,
            Self::Defensive => class == Class::Severe,
            Self::Strictest => class != Class::Compliant,
        }
    }

    /// Returns true if the connections of a routed request of the class are closed after it.
    pub fn closes_after(self, class: Class) -> bool {
        self == Self::Defensive && class == Class::Ambiguous
    }
}

/// The end of the body that follows a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Sized(u64),
    Chunked,
    /// The parser rejects the request.
    Unknown,
}

/// The headers that frame the body, as far as they are read.
#[derive(Default)]
struct Body {
    lengths: Vec<String>,
    codings: Vec<String>,
    has_suspicious_length: bool,
    has_suspicious_coding: bool,
}

/// Classifies a head, and returns the framing of its body.
pub fn inspect(head: &[u8]) -> (Verdict, Framing) {
    let mut verdict = Verdict::default();
    let mut add = |class: Class, reason: &'static str| {
        if class > verdict.class {
            (verdict.class, verdict.reason) = (class, reason);
        }
    };
    let mut lines = head.trim_ascii_start().split(|byte| *byte == b'\n');
    let request_line = without_return(lines.next().unwrap_or_default());
    let (method, target) = inspect_request_line(request_line, &mut add);
    let has_fragment = target.contains(&b'#');
    let mut body = Body::default();
    for line in lines.map(without_return).take_while(|line| !line.is_empty()) {
        inspect_header(line, &mut body, &mut add);
    }
    inspect_body(method, &body, &mut add);
    let framing = body.framing();
    verdict.has_fragment = has_fragment;
    (verdict, framing)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns the method and the target.
fn inspect_request_line<'a>(line: &'a [u8], add: &mut impl FnMut(Class, &'static str)) -> (&'a [u8], &'a [u8]) {
    let space = |byte: &u8| *byte == b' ';
    let (Some(first), Some(last)) = (line.iter().position(space), line.iter().rposition(space)) else {
        add(Class::Severe, "BadMethod");
        return (line, b"");
    };
    let (method, version) = (&line[..first], &line[last + 1..]);
    let target = if first < last { &line[first + 1..last] } else { &[][..] };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        add(Class::Severe, "BadMethod");
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => {}
        [b'H', b'T', b'T', b'P', b'/', digit, b'.', other] if digit.is_ascii_digit() && other.is_ascii_digit() => {
            add(Class::Acceptable, "NonCompliantVersion");
        }
        _ => add(Class::Severe, "BadVersion"),
    }
    if target.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        add(Class::Severe, "BadUri");
    } else if target.iter().any(u8::is_ascii_control) {
        add(Class::Ambiguous, "AmbiguousUri");
    } else if target.contains(&b' ') {
        add(Class::Acceptable, "SpaceInUri");
    }
    (method, target)
}

fn inspect_header(line: &[u8], body: &mut Body, add: &mut impl FnMut(Class, &'static str)) {
    if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        add(Class::Severe, "BadHeader");
    }
    if line
        .iter()
        .any(|byte| !byte.is_ascii() || (byte.is_ascii_control() && *byte != b'\t'))
    {
        add(Class::Acceptable, "NonCompliantHeader");
    }
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
    let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
    if value.is_empty() {
        add(Class::Ambiguous, "EmptyHeader");
    }
    let value = String::from_utf8_lossy(value).into_owned();
    match name.as_str() {
        "content-length" => body.lengths.push(value),
        "transfer-encoding" => body.codings.push(value.to_ascii_lowercase()),
        _ => {
            let name_only: String = name.chars().filter(char::is_ascii_alphabetic).collect();
            body.has_suspicious_length |= name_only == "contentlength";
            body.has_suspicious_coding |= name_only == "transferencoding";
            if name_only == "contentlength" || name_only == "transferencoding" {
                add(Class::Ambiguous, "SuspiciousHeader");
            }
        }
    }
}

fn inspect_body(method: &[u8], body: &Body, add: &mut impl FnMut(Class, &'static str)) {
    let has_length = !body.lengths.is_empty();
    let has_coding = !body.codings.is_empty();
    if (has_length || body.has_suspicious_length)
        && (has_coding || body.has_suspicious_coding)
        && (body.has_suspicious_length || body.has_suspicious_coding)
    {
        add(Class::Severe, "SuspiciousTeClPresent");
    }
    if has_length && has_coding {
        add(Class::Ambiguous, "BothTeClPresent");
    }
    let is_number = |value: &String| value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<u64>().is_ok();
    if !body.lengths.iter().all(is_number) {
        add(Class::Severe, "BadContentLength");
    }
    if body.lengths.len() > 1 {
        if body.lengths.iter().all(|one| *one == body.lengths[0]) {
            add(Class::Ambiguous, "DuplicateContentLength");
        } else {
            add(Class::Severe, "MultipleContentLength");
        }
    }
    let codings = || body.codings.iter().flat_map(|value| value.split(',').map(str::trim));
    if codings().any(|coding| coding.is_empty() || !coding.bytes().all(is_token)) {
        add(Class::Severe, "BadTransferEncoding");
    }
    if codings().filter(|coding| *coding == "chunked").count() > 1 {
        add(Class::Severe, "MultipleTransferEncodingChunked");
    }
    if matches!(method, b"GET" | b"HEAD") {
        if body
            .lengths
            .iter()
            .any(|length| length.trim_start_matches('0').is_empty())
        {
            add(Class::Acceptable, "GetHeadZeroContentLength");
        } else if has_length {
            add(Class::Ambiguous, "UndefinedContentLengthSemantics");
        }
        if has_coding {
            add(Class::Ambiguous, "UndefinedTransferEncodingSemantics");
        }
    }
}

impl Body {
    /// Returns the framing that the parser takes: chunks before a length (RFC 9112, 6.3).
    fn framing(&self) -> Framing {
        if let Some(coding) = self.codings.last() {
            return match coding.rsplit(',').next().map(str::trim) {
                Some("chunked") => Framing::Chunked,
                _ => Framing::Unknown,
            };
        }
        match self.lengths.first().map(|length| length.parse()) {
            None => Framing::None,
            Some(Ok(0)) => Framing::None,
            Some(Ok(length)) => Framing::Sized(length),
            Some(Err(_)) => Framing::Unknown,
        }
    }
}

/// Returns true for a byte of a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_classified_by_the_documented_reasons() {
        for (lines, class, reason) in [
            ("GET / HTTP/1.1\r\nHost: a", Class::Compliant, ""),
            ("POST / HTTP/1.1\r\nContent-Length: 2", Class::Compliant, ""),
            (
                "GET / HTTP/1.1\r\nContent-Length: 0",
                Class::Acceptable,
                "GetHeadZeroContentLength",
            ),
            ("GET / HTTP/1.1\r\nX: \u{e4}", Class::Acceptable, "NonCompliantHeader"),
            ("GET / HTTP/1.2\r\nX: a", Class::Acceptable, "NonCompliantVersion"),
            ("GET /a b HTTP/1.1\r\nX: a", Class::Acceptable, "SpaceInUri"),
            ("GET /a\tb HTTP/1.1\r\nX: a", Class::Ambiguous, "AmbiguousUri"),
            (
                "GET / HTTP/1.1\r\nContent-Length: 1",
                Class::Ambiguous,
                "UndefinedContentLengthSemantics",
            ),
            (
                "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
                Class::Ambiguous,
                "UndefinedTransferEncodingSemantics",
            ),
            ("GET / HTTP/1.1\r\nX-Empty:", Class::Ambiguous, "EmptyHeader"),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
                Class::Ambiguous,
                "BothTeClPresent",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
                Class::Ambiguous,
                "DuplicateContentLength",
            ),
            (
                "POST / HTTP/1.1\r\nContent_Length: 1",
                Class::Ambiguous,
                "SuspiciousHeader",
            ),
            (
                "POST / HTTP/1.1\r\nTransfer_Encoding: chunked\r\nContent-Length: 1",
                Class::Severe,
                "SuspiciousTeClPresent",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
                Class::Severe,
                "MultipleContentLength",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: +1",
                Class::Severe,
                "BadContentLength",
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: ,",
                Class::Severe,
                "BadTransferEncoding",
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                Class::Severe,
                "MultipleTransferEncodingChunked",
            ),
            ("GET / HTTP/1.1\r\nX: a\0b", Class::Severe, "BadHeader"),
            ("GET /\0 HTTP/1.1\r\nX: a", Class::Severe, "BadUri"),
            ("G@T / HTTP/1.1\r\nX: a", Class::Severe, "BadMethod"),
            ("GET / HTTX/1.1\r\nX: a", Class::Severe, "BadVersion"),
        ] {
            let (verdict, _) = inspect(format!("{lines}\r\n\r\n").as_bytes());
            assert_eq!((verdict.class, verdict.reason), (class, reason), "{lines:?}");
        }
    }

    #[test]
    fn a_mode_blocks_by_class() {
        let blocked = |mode: Mode| {
            let all = [Class::Compliant, Class::Acceptable, Class::Ambiguous, Class::Severe];
            all.map(|class| mode.blocks(class))
        };
        assert_eq!(blocked(Mode::Monitor), [false, false, false, false]);
        assert_eq!(blocked(Mode::Defensive), [false, false, false, true]);
        assert_eq!(blocked(Mode::Strictest), [false, true, true, true]);
        assert!(Mode::Defensive.closes_after(Class::Ambiguous) && !Mode::Monitor.closes_after(Class::Ambiguous));
    }
}
