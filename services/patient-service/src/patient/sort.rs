//! The order of a list of patients.

use kit::{Problem, Result, pagination::SortCursor};
use utoipa::ToSchema;

use super::Patient;

/// The order of a list; the id orders patients of equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ToSchema)]
pub enum Sort {
    /// By name, from A.
    #[default]
    #[schema(rename = "name")]
    Name,
    /// By name, from Z.
    #[schema(rename = "-name")]
    NameDescending,
    /// By date of birth, the oldest patient first.
    #[schema(rename = "dateOfBirth")]
    DateOfBirth,
    /// By date of registration, the earliest first.
    #[schema(rename = "registeredDate")]
    RegisteredDate,
}

impl Sort {
    /// All orders.
    pub const ALL: [Self; 4] = [
        Self::Name,
        Self::NameDescending,
        Self::DateOfBirth,
        Self::RegisteredDate,
    ];

    /// Parses the query parameter.
    ///
    /// # Errors
    /// 400 if there is no such order.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::default()) };
        Self::ALL
            .into_iter()
            .find(|sort| sort.as_str() == text)
            .ok_or_else(|| Problem::field("sort", "Sort must be name, -name, dateOfBirth or registeredDate"))
    }

    /// Returns the value of the query parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NameDescending => "-name",
            Self::DateOfBirth => "dateOfBirth",
            Self::RegisteredDate => "registeredDate",
        }
    }

    /// Returns the column of the order, and the type to which a cursor's key is cast.
    pub(super) const fn column(self) -> (&'static str, &'static str) {
        match self {
            Self::Name | Self::NameDescending => ("name", "text"),
            Self::DateOfBirth => ("date_of_birth", "date"),
            Self::RegisteredDate => ("registered_date", "date"),
        }
    }

    /// Returns the operator that compares a row with the cursor before it, and the direction for `order by`.
    pub(super) const fn direction(self) -> (&'static str, &'static str) {
        match self {
            Self::NameDescending => ("<", "desc"),
            _ => (">", "asc"),
        }
    }

    /// Returns the cursor behind a patient.
    pub fn cursor_behind(self, patient: &Patient) -> SortCursor {
        let key = match self {
            Self::Name | Self::NameDescending => patient.name.clone(),
            Self::DateOfBirth => patient.date_of_birth.to_string(),
            Self::RegisteredDate => patient.registered_date.to_string(),
        };
        SortCursor::new(self.as_str(), key, patient.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_order_is_rejected() {
        assert_eq!(Sort::parse(Some("-name")).expect("an order"), Sort::NameDescending);
        assert_eq!(Sort::parse(Some("';drop")).expect_err("no order").status(), 400);
    }
}
