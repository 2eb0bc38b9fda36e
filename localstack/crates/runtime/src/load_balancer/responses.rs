//! Responses of the load balancer itself, as an Application Load Balancer words them.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::{Response, StatusCode};

use super::connection::Connection;
use super::rule::Action;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = BoxBody<Bytes, BoxError>;

/// Returns a body of text.
pub fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

/// Returns an error page.
pub fn error(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = match status.as_u16() {
        503 => "503 Service Temporarily Unavailable".to_owned(),
        504 => "504 Gateway Time-out".to_owned(),
        // Codes of Application Load Balancers that HTTP does not know.
        code @ (463 | 464) => code.to_string(),
        code => format!("{code} {}", status.canonical_reason().unwrap_or("")),
    };
    page(status, &title, None)
}

/// Returns the response to a plain HTTP request on a TLS listener.
pub fn plain_http_on_tls() -> Response<Body> {
    let detail = "The plain HTTP request was sent to HTTPS port";
    page(StatusCode::BAD_REQUEST, "400 Bad Request", Some(detail))
}

fn page(status: StatusCode, title: &str, detail: Option<&str>) -> Response<Body> {
    let detail = detail.map_or_else(String::new, |detail| format!("<hr><center>{detail}</center>\r\n"));
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n{detail}</body>\r\n</html>\r\n"
    );
    respond(status, "text/html", page)
}

/// Returns a fixed response or a redirect; `None` for an action that forwards.
pub fn without_target(action: &Action, uri: &hyper::Uri, host: &str, connection: Connection) -> Option<Response<Body>> {
    match action {
        Action::Forward(_) => None,
        Action::FixedResponse {
            status,
            content_type,
            body,
        } => Some(respond(
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
                text.replace("#{protocol}", connection.scheme())
                    .replace("#{host}", host)
                    .replace("#{port}", &connection.port.to_string())
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
            let mut response = error(*status);
            response.headers_mut().insert("location", location.parse().ok()?);
            Some(response)
        }
    }
}

fn respond(status: StatusCode, content_type: &str, body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("server", http::HeaderValue::from_static("awselb/2.0"));
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert("content-type", value);
    }
    response
}
