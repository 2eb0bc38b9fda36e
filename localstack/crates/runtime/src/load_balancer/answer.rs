//! The load balancer's own answers, in its words.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Response, StatusCode};

use super::listener::Via;
use super::proxy::Body;
use super::rule::Action;

/// An error page as an ALB gives it.
pub fn error(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let words = match status.as_u16() {
        503 => "503 Service Temporarily Unavailable".to_owned(),
        504 => "504 Gateway Time-out".to_owned(),
        code => format!("{code} {}", status.canonical_reason().unwrap_or("")),
    };
    page(status, &words, "")
}

/// What a client is told that speaks HTTP where TLS is spoken.
pub fn in_the_clear() -> Response<Body> {
    let words = "The plain HTTP request was sent to HTTPS port";
    page(StatusCode::BAD_REQUEST, "400 Bad Request", words)
}

fn page(status: StatusCode, title: &str, words: &str) -> Response<Body> {
    let words = match words {
        "" => String::new(),
        words => format!("<hr><center>{words}</center>\r\n"),
    };
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n{words}</body>\r\n</html>\r\n"
    );
    own(status, "text/html", page)
}

/// A fixed response, or a redirect; none for an action that forwards.
pub fn without_target(action: &Action, uri: &hyper::Uri, host: &str, via: Via) -> Option<Response<Body>> {
    match action {
        Action::Forward(_) => None,
        Action::Fixed {
            status,
            content_type,
            body,
        } => Some(own(
            StatusCode::from_u16(*status).unwrap_or(StatusCode::OK),
            content_type,
            body.clone(),
        )),
        Action::Redirect {
            protocol,
            host: to_host,
            port,
            path,
            query,
            status,
        } => {
            let fill = |text: &str| {
                text.replace("#{protocol}", via.scheme())
                    .replace("#{host}", host)
                    .replace("#{port}", &via.port.to_string())
                    .replace("#{path}", uri.path().trim_start_matches('/'))
                    .replace("#{query}", uri.query().unwrap_or(""))
            };
            let protocol = fill(protocol).to_ascii_lowercase();
            let (port, query) = (fill(port), fill(query));
            let default = if protocol == "https" { "443" } else { "80" };
            let port = if port == default {
                String::new()
            } else {
                format!(":{port}")
            };
            let query = if query.is_empty() { query } else { format!("?{query}") };
            let location = format!("{protocol}://{}{port}{}{query}", fill(to_host), fill(path));
            let mut answer = error(*status);
            answer.headers_mut().insert("location", location.parse().ok()?);
            Some(answer)
        }
    }
}

fn own(status: StatusCode, content_type: &str, body: String) -> Response<Body> {
    let mut answer = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert("server", http::HeaderValue::from_static("awselb/2.0"));
    if let Ok(value) = content_type.parse() {
        answer.headers_mut().insert("content-type", value);
    }
    answer
}
