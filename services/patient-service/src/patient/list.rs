//! The list of patients: search, order, pages.

use kit::{Problem, Result};
use sqlx::{PgPool, Postgres, QueryBuilder};
use time::{Date, macros::format_description};

use super::{Patient, store::SELECT};
use crate::page::Cursor;

/// The order of a list; the id tells patients of equal keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Name,
    NameDescending,
    DateOfBirth,
    RegisteredDate,
}

impl Sort {
    /// Reads the query parameter.
    ///
    /// # Errors
    /// 400 when there is no such order.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        let all = [
            Self::Name,
            Self::NameDescending,
            Self::DateOfBirth,
            Self::RegisteredDate,
        ];
        let Some(text) = text else { return Ok(Self::default()) };
        all.into_iter()
            .find(|sort| sort.as_str() == text)
            .ok_or_else(|| Problem::field("sort", "Sort must be name, -name, dateOfBirth or registeredDate"))
    }

    /// The order as the query parameter spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NameDescending => "-name",
            Self::DateOfBirth => "dateOfBirth",
            Self::RegisteredDate => "registeredDate",
        }
    }

    /// The condition for rows behind a cursor, up to the cursor's key, and the order.
    const fn sql(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Name => ("(p.name, p.id) > (", "", "p.name, p.id"),
            Self::NameDescending => ("(p.name, p.id) < (", "", "p.name desc, p.id desc"),
            Self::DateOfBirth => ("(p.date_of_birth, p.id) > (", "::date", "p.date_of_birth, p.id"),
            Self::RegisteredDate => ("(p.registered_date, p.id) > (", "::date", "p.registered_date, p.id"),
        }
    }

    fn key(self, patient: &Patient) -> String {
        match self {
            Self::Name | Self::NameDescending => patient.name.clone(),
            Self::DateOfBirth => patient.date_of_birth.to_string(),
            Self::RegisteredDate => patient.registered_date.to_string(),
        }
    }

    /// Reads a cursor of this order.
    ///
    /// # Errors
    /// 400 when it is not one.
    pub fn cursor(self, text: &str) -> Result<Cursor> {
        let cursor = Cursor::parse(text, self.as_str())?;
        let dated = matches!(self, Self::DateOfBirth | Self::RegisteredDate);
        if dated && Date::parse(&cursor.key, format_description!("[year]-[month]-[day]")).is_err() {
            return Err(Problem::field(
                "cursor",
                "Cursor is malformed; take it from the Link header of a page",
            ));
        }
        Ok(cursor)
    }
}

/// A page of patients, how many there are in all, and where the next page starts.
pub struct Page {
    pub patients: Vec<Patient>,
    pub total: i64,
    pub next: Option<Cursor>,
}

/// Reads a page of the patients whose name, address or email holds `search`.
///
/// # Errors
/// When the database fails.
pub async fn page(pool: &PgPool, search: Option<&str>, sort: Sort, limit: i64, after: Option<&Cursor>) -> Result<Page> {
    let pattern = search.map(pattern);
    let mut count = QueryBuilder::<Postgres>::new("select count(*) from patient p where true");
    matching(&mut count, pattern.as_deref());
    let total: i64 = count.build_query_scalar().fetch_one(pool).await?;

    let (behind, cast, order) = sort.sql();
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" where true");
    matching(&mut query, pattern.as_deref());
    if let Some(cursor) = after {
        query
            .push(" and ")
            .push(behind)
            .push_bind(cursor.key.clone())
            .push("::text")
            .push(cast);
        query.push(", ").push_bind(cursor.id).push(")");
    }
    // One row more tells whether there is another page.
    query
        .push(" order by ")
        .push(order)
        .push(" limit ")
        .push_bind(limit + 1);
    let mut patients: Vec<Patient> = query.build_query_as().fetch_all(pool).await?;
    let more = patients.len() as i64 > limit;
    patients.truncate(limit as usize);
    let last = patients.last().filter(|_| more);
    let next = last.map(|patient| Cursor::new(sort.as_str(), sort.key(patient), patient.id));
    Ok(Page { patients, total, next })
}

fn matching(query: &mut QueryBuilder<Postgres>, pattern: Option<&str>) {
    if let Some(pattern) = pattern {
        for column in [" and (p.name", " or p.email", " or p.address"] {
            query.push(column).push(" ilike ").push_bind(pattern.to_owned());
        }
        query.push(")");
    }
}

/// The search as a pattern of `ilike` in which nothing is special.
fn pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in search.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_for_wildcards_finds_them_literally() {
        assert_eq!(pattern(r"50%_\"), r"%50\%\_\\%");
    }

    #[test]
    fn an_unknown_order_is_refused() {
        assert_eq!(Sort::parse(Some("-name")).expect("an order"), Sort::NameDescending);
        assert_eq!(Sort::parse(Some("';drop")).expect_err("no order").status(), 400);
    }
}
