//! The order of a list of patients.

use kit::{Problem, Result};
use utoipa::ToSchema;

use super::{Patient, input::date};
use crate::page::Cursor;

/// The order of a list; the id tells patients of equal keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ToSchema)]
pub enum Sort {
    #[default]
    #[schema(rename = "name")]
    Name,
    #[schema(rename = "-name")]
    NameDescending,
    #[schema(rename = "dateOfBirth")]
    DateOfBirth,
    #[schema(rename = "registeredDate")]
    RegisteredDate,
}

impl Sort {
    /// Every order there is.
    pub const ALL: [Self; 4] = [
        Self::Name,
        Self::NameDescending,
        Self::DateOfBirth,
        Self::RegisteredDate,
    ];

    /// Reads the query parameter.
    ///
    /// # Errors
    /// 400 when there is no such order.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::default()) };
        Self::ALL
            .into_iter()
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

    /// The column that decides, and the type that a cursor's key is cast to.
    pub(super) const fn column(self) -> (&'static str, &'static str) {
        match self {
            Self::Name | Self::NameDescending => ("name", "text"),
            Self::DateOfBirth => ("date_of_birth", "date"),
            Self::RegisteredDate => ("registered_date", "date"),
        }
    }

    /// How a row behind another compares with it, and the word of `order by`.
    pub(super) const fn direction(self) -> (&'static str, &'static str) {
        match self {
            Self::NameDescending => ("<", "desc"),
            _ => (">", "asc"),
        }
    }

    /// The cursor behind a patient.
    pub(super) fn behind(self, patient: &Patient) -> Cursor {
        let key = match self {
            Self::Name | Self::NameDescending => patient.name.clone(),
            Self::DateOfBirth => patient.date_of_birth.to_string(),
            Self::RegisteredDate => patient.registered_date.to_string(),
        };
        Cursor::new(self.as_str(), key, patient.id)
    }

    /// Reads a cursor of this order.
    ///
    /// # Errors
    /// 400 when it is not one.
    pub fn cursor(self, text: &str) -> Result<Cursor> {
        let cursor = Cursor::parse(text, self.as_str())?;
        let dated = matches!(self, Self::DateOfBirth | Self::RegisteredDate);
        if dated && date(&cursor.key).is_none() {
            return Err(Problem::field(
                "cursor",
                "Cursor is malformed; take it from the Link header of a page",
            ));
        }
        Ok(cursor)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn an_unknown_order_is_refused() {
        assert_eq!(Sort::parse(Some("-name")).expect("an order"), Sort::NameDescending);
        assert_eq!(Sort::parse(Some("';drop")).expect_err("no order").status(), 400);
    }

    #[test]
    fn a_cursor_whose_date_the_database_would_refuse_is_refused_here() {
        let cursor = |key: &str| {
            let cursor = serde_json::json!({"sort": "dateOfBirth", "key": key, "id": uuid::Uuid::nil()});
            Sort::DateOfBirth.cursor(&URL_SAFE_NO_PAD.encode(cursor.to_string()))
        };
        assert!(cursor("1990-05-17").is_ok());
        for bad in [
            "0000-01-01",
            "-001-01-01",
            "-0001-01-01",
            "+1990-05-17",
            "1990-02-30",
            "",
        ] {
            assert_eq!(cursor(bad).expect_err(bad).status(), 400);
        }
    }
}
