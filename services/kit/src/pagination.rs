//! Pagination of lists: the query parameters `limit` and `cursor`, and the `Link` header with the next page.

mod seal;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{
    IntoParams,
    openapi::{
        KnownFormat, ObjectBuilder, Required, SchemaFormat, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};
use uuid::Uuid;

use crate::{Json, Prefix, Problem, Result};
pub use seal::{CursorKey, SealedCursor};

/// Position in a list: the next page starts behind it, whatever was inserted in the meantime.
pub trait Cursor: Sized {
    /// Reads the query parameter; `None` if it is malformed.
    fn decode(text: &str) -> Option<Self>;
    /// Returns the position as the query parameter.
    fn encode(&self) -> String;
}

/// The id of the last row, in a list that is ordered by id or finds the position by it.
impl Cursor for Uuid {
    fn decode(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn encode(&self) -> String {
        self.to_string()
    }
}

/// The number of the last row, in a list that is ordered by numbers.
impl Cursor for i64 {
    fn decode(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &i64| number.to_string() == text)
    }

    fn encode(&self) -> String {
        self.to_string()
    }
}

/// Position in a list with several sort orders: the last row's value in the sort column, and its id.
///
/// The value may be personal data, so a cursor in a URL is [sealed](SealedCursor).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortCursor {
    /// The order that the page was read in.
    sort: String,
    /// The row's value in the column of that order.
    pub key: String,
    /// The row's id, which orders rows of equal keys.
    pub id: Uuid,
}

impl SortCursor {
    /// Returns the position behind a row.
    pub fn new(sort: &str, key: String, id: Uuid) -> Self {
        Self {
            sort: sort.to_owned(),
            key,
            id,
        }
    }

    /// Checks that the cursor comes from a page in this order.
    ///
    /// # Errors
    /// 400 if it was made for another order.
    pub fn expect_sort(&self, sort: &str) -> Result<()> {
        if self.sort == sort {
            return Ok(());
        }
        Err(Problem::field("cursor", "Cursor belongs to another sort"))
    }
}

/// 400 for a cursor that no page of this list returned.
pub fn malformed_cursor() -> Problem {
    Problem::field("cursor", "Cursor is malformed; take it from the Link header of a page")
}

/// The part of a list that a request asks for: `?limit=20&cursor=…`.
///
/// An extractor, and the description of its two parameters for OpenAPI. A handler reads [`Pagination::rows`] rows behind
/// [`Pagination::cursor`] and passes them to [`Pagination::page`].
#[derive(Debug, Clone)]
pub struct Pagination<C = Uuid, const DEFAULT: u16 = 20, const MAX: u16 = 100> {
    /// Rows of the page, 1 to `MAX`; `DEFAULT` by default.
    pub limit: i64,
    /// The row behind which the page starts; the beginning of the list by default.
    pub cursor: Option<C>,
    /// This list as the client sees it, with every query parameter except the cursor.
    path: String,
    query: String,
}

impl<C: Cursor, const DEFAULT: u16, const MAX: u16> Pagination<C, DEFAULT, MAX> {
    fn invalid_limit() -> Problem {
        Problem::field("limit", format!("Limit must be a number from 1 to {MAX}"))
    }

    fn parse(path: String, query: &str) -> Result<Self> {
        let (mut limit, mut cursor) = (None, None);
        let mut others = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "cursor" if cursor.is_some() => return Err(malformed_cursor()),
                "cursor" => {
                    cursor = Some(C::decode(&value).ok_or_else(malformed_cursor)?);
                    continue;
                }
                "limit" if limit.is_some() => return Err(Self::invalid_limit()),
                "limit" => {
                    let number = value.parse().ok().filter(|limit| (1..=MAX).contains(limit));
                    limit = Some(number.ok_or_else(Self::invalid_limit)?);
                }
                _ => {}
            }
            others.append_pair(&name, &value);
        }
        Ok(Self {
            limit: i64::from(limit.unwrap_or(DEFAULT)),
            cursor,
            path,
            query: others.finish(),
        })
    }

    /// Replaces the query parameters by those of a body, where it has them.
    ///
    /// # Errors
    /// 400 if one is malformed.
    pub fn with_body(mut self, limit: Option<i64>, cursor: Option<&str>) -> Result<Self> {
        if let Some(limit) = limit {
            let valid = (1..=i64::from(MAX)).contains(&limit);
            self.limit = Some(limit).filter(|_| valid).ok_or_else(Self::invalid_limit)?;
        }
        if let Some(cursor) = cursor {
            self.cursor = Some(C::decode(cursor).ok_or_else(malformed_cursor)?);
        }
        Ok(self)
    }

    /// Returns the number of rows to read: one more than the page has, which shows whether there is another page.
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// Makes a page of the [`Pagination::rows`] that were read; `position` returns the cursor behind a row.
    pub fn page<T>(&self, rows: Vec<T>, position: impl FnOnce(&T) -> C) -> Page<T> {
        let position = |last: &T| Ok::<_, std::convert::Infallible>(position(last));
        let Ok(page) = self.try_page(rows, position);
        page
    }

    /// Makes a page as [`Pagination::page`] does, with a cursor that can fail, such as one that is sealed.
    ///
    /// # Errors
    /// That of `position`.
    pub fn try_page<T, E>(
        &self,
        mut rows: Vec<T>,
        position: impl FnOnce(&T) -> std::result::Result<C, E>,
    ) -> std::result::Result<Page<T>, E> {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let mut headers = HeaderMap::new();
        if let Some(last) = rows.last().filter(|_| more) {
            let mut query = form_urlencoded::Serializer::new(self.query.clone());
            let query = query.append_pair("cursor", &position(last)?.encode()).finish();
            if let Ok(link) = HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", self.path)) {
                headers.insert(header::LINK, link);
            }
        }
        Ok(Page { rows, headers })
    }
}

impl<C: Cursor, S: Send + Sync, const DEFAULT: u16, const MAX: u16> FromRequestParts<S>
    for Pagination<C, DEFAULT, MAX>
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Ok(prefix) = Prefix::from_request_parts(parts, state).await;
        Self::parse(prefix.join(parts.uri.path()), parts.uri.query().unwrap_or_default())
    }
}

impl<C, const DEFAULT: u16, const MAX: u16> IntoParams for Pagination<C, DEFAULT, MAX> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, description: String| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(description))
        };
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .maximum(Some(MAX));
        vec![
            parameter("limit", format!("Rows of the page, 1 to {MAX}; {DEFAULT} by default."))
                .schema(Some(limit))
                .example(Some(20.into()))
                .build(),
            parameter(
                "cursor",
                "Start of the page, from the Link header of the page before.".to_owned(),
            )
            .schema(Some(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some(2800))
                    .pattern(Some("^[A-Za-z0-9_-]+$")),
            ))
            .build(),
        ]
    }
}

/// Number of rows on all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// The exact number.
    Exactly(i64),
    /// A lower bound, where an exact count is too expensive.
    AtLeast(i64),
}

/// A page of a list, as a response: a JSON array, with `Link` to the next page if there is one.
#[derive(Debug)]
pub struct Page<T> {
    rows: Vec<T>,
    headers: HeaderMap,
}

impl<T> Page<T> {
    /// Returns the rows of the page, without the one that only shows that there is another page.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// Adds `X-Total-Count`, and `X-Total-Count-Relation` with `eq` (exact) or `gte` (lower bound).
    #[must_use]
    pub fn total(mut self, total: Total) -> Self {
        let (total, relation) = match total {
            Total::Exactly(total) => (total, "eq"),
            Total::AtLeast(total) => (total, "gte"),
        };
        self.headers.insert("x-total-count", HeaderValue::from(total));
        self.headers
            .insert("x-total-count-relation", HeaderValue::from_static(relation));
        self
    }

    /// Converts each row, such as to the type that clients see.
    #[must_use]
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(convert).collect(),
            headers: self.headers,
        }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        (self.headers, Json(self.rows)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type ById = Pagination<Uuid, 20, 100>;

    fn parse(query: &str) -> Result<ById> {
        ById::parse("/api/things".into(), query)
    }

    fn link<T>(page: &Page<T>) -> Option<&str> {
        page.headers.get(header::LINK).map(|link| link.to_str().expect("text"))
    }

    #[test]
    fn a_limit_is_from_1_to_the_maximum() {
        assert_eq!(parse("").expect("a default").limit, 20);
        assert_eq!(parse("limit=100").expect("the maximum").limit, 100);
        for limit in ["0", "101", "-1", "x", "", "1e1", "99999999999999999999", "1&limit=1"] {
            let problem = parse(&format!("limit={limit}")).expect_err(limit);
            assert_eq!(problem.status(), 400);
            assert!(problem.errors().contains_key("limit"), "{limit}");
        }
    }

    #[test]
    fn a_malformed_cursor_is_rejected() {
        for cursor in ["", "x", "%00%ff", "e30", &format!("{0}&cursor={0}", Uuid::nil())] {
            let problem = parse(&format!("cursor={cursor}")).expect_err(cursor);
            assert_eq!(problem.status(), 400);
            assert!(problem.errors().contains_key("cursor"), "{cursor}");
        }
    }

    #[test]
    fn the_link_repeats_the_query_with_the_position_behind_the_last_row() {
        let pagination = parse("q=a%26b%20c&limit=2&cursor=00000000-0000-0000-0000-000000000001").expect("a query");
        assert_eq!((pagination.cursor, pagination.rows()), (Some(Uuid::from_u128(1)), 3));
        let ids = |ids: std::ops::RangeInclusive<u128>| ids.map(Uuid::from_u128).collect::<Vec<_>>();
        let page = pagination.page(ids(2..=4), |id| *id);
        assert_eq!(page.rows, ids(2..=3));
        let next = "</api/things?q=a%26b+c&limit=2&cursor=00000000-0000-0000-0000-000000000003>; rel=\"next\"";
        assert_eq!(link(&page), Some(next));
        assert_eq!(link(&pagination.page(ids(2..=3), |id| *id)), None, "the last page");
    }

    #[test]
    fn a_sort_cursor_is_only_for_its_order() {
        let cursor = SortCursor::new("name", "Ada".into(), Uuid::from_u128(7));
        assert!(cursor.expect_sort("name").is_ok());
        assert_eq!(cursor.expect_sort("-name").expect_err("another order").status(), 400);
    }

    #[test]
    fn a_body_replaces_the_parameters_of_the_query() {
        let page = parse("limit=5")
            .expect("a query")
            .with_body(Some(7), None)
            .expect("a body");
        assert_eq!((page.limit, page.cursor), (7, None));
        let id = Uuid::from_u128(1).to_string();
        let page = parse("limit=5")
            .expect("a query")
            .with_body(None, Some(&id))
            .expect("a body");
        assert_eq!((page.limit, page.cursor), (5, Some(Uuid::from_u128(1))));
        for (limit, cursor) in [
            (Some(0), None),
            (Some(101), None),
            (Some(i64::MIN), None),
            (None, Some("x")),
        ] {
            let rejected = parse("").expect("a query").with_body(limit, cursor);
            assert_eq!(rejected.expect_err("a rejection").status(), 400);
        }
    }
}
