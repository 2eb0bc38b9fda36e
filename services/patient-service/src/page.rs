//! Pages of a list: where a page starts, and the link to the next.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use kit::{Prefix, Problem, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The most rows of one page.
const MOST: i64 = 100;
/// The rows of a page when nobody asks for another number.
const USUAL: i64 = 20;

/// The last row of a page: the next page starts behind it, whatever was inserted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The order that the page was made in.
    sort: String,
    /// The row's value in the column of that order.
    pub key: String,
    /// The row's id, which tells rows of equal keys apart.
    pub id: Uuid,
}

impl Cursor {
    /// The cursor behind a row.
    pub fn new(sort: &str, key: String, id: Uuid) -> Self {
        Self {
            sort: sort.to_owned(),
            key,
            id,
        }
    }

    /// Reads the query parameter.
    ///
    /// # Errors
    /// 400 when it is not one of ours, or was made for another order.
    pub fn parse(text: &str, sort: &str) -> Result<Self> {
        let malformed = || Problem::field("cursor", "Cursor is malformed; take it from the Link header of a page");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        if cursor.key.contains('\0') || cursor.key.len() > 1000 {
            return Err(malformed());
        }
        if cursor.sort != sort {
            return Err(Problem::field("cursor", "Cursor belongs to another sort"));
        }
        Ok(cursor)
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// How many rows there are in all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    Exactly(i64),
    /// Counting further would cost more than it tells.
    AtLeast(i64),
}

/// Reads the query parameter `limit`.
///
/// # Errors
/// 400 when it is not a number from 1 to 100.
pub fn limit(text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(USUAL) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| Problem::field("limit", format!("Limit must be a number from 1 to {MOST}")))
}

/// The headers of a page: the total, whether that is all (`eq`) or a lower bound (`gte`), and the link to the next page
/// when there is one.
pub fn headers(
    total: Total,
    next: Option<&Cursor>,
    prefix: &Prefix,
    path: &str,
    parameters: &[(&str, String)],
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let (total, relation) = match total {
        Total::Exactly(total) => (total, "eq"),
        Total::AtLeast(total) => (total, "gte"),
    };
    headers.insert("x-total-count", HeaderValue::from(total));
    headers.insert("x-total-count-relation", HeaderValue::from_static(relation));
    if let Some(cursor) = next {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            query.append_pair(name, value);
        }
        let query = query.append_pair("cursor", &cursor.encode()).finish();
        let link = format!("<{}?{query}>; rel=\"next\"", prefix.join(path));
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_only_for_its_order() {
        let cursor = Cursor::new("name", "Ada \u{1F469}".into(), Uuid::from_u128(7));
        let text = cursor.encode();
        assert_eq!(Cursor::parse(&text, "name").expect("a cursor"), cursor);
        assert_eq!(Cursor::parse(&text, "-name").expect_err("another order").status(), 400);
        for bad in ["", "%%", "e30", "\0\u{fffd}"] {
            assert_eq!(
                Cursor::parse(bad, "name").expect_err("a malformed cursor").status(),
                400
            );
        }
    }

    #[test]
    fn a_limit_is_from_1_to_100() {
        assert_eq!(limit(None).expect("a default"), 20);
        assert_eq!(limit(Some("100")).expect("the most"), 100);
        for bad in ["0", "101", "-1", "x", "", "1e1", "99999999999999999999"] {
            assert!(limit(Some(bad)).is_err(), "{bad}");
        }
    }
}
