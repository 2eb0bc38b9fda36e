//! Export of everything that a service's tables hold about a patient.

use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgExecutor};
use uuid::Uuid;

/// The rows about a patient, by table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Held(Value);

impl Held {
    /// Reads the rows of all `tables` whose column `patient_id` is `patient`, in one state of the database.
    ///
    /// Every column is read, so that one of a later migration cannot be forgotten; its name is in camel case.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub async fn read(db: impl PgExecutor<'_>, tables: &[&'static str], patient: Uuid) -> sqlx::Result<Self> {
        let tables = tables.iter().map(|table| {
            format!("'{table}', (select coalesce(jsonb_agg(t order by t), '[]') from {table} t where patient_id = $1)")
        });
        let select = format!("select jsonb_build_object({})", tables.collect::<Vec<_>>().join(", "));
        let rows = sqlx::query_scalar(AssertSqlSafe(select)).bind(patient);
        Ok(Self(with_camel_case(rows.fetch_one(db).await?)))
    }
}

fn with_camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (camel_case(&name), with_camel_case(value)))
                .collect()
        }
        Value::Array(rows) => rows.into_iter().map(with_camel_case).collect(),
        value => value,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or_default();
        name + &initial.to_ascii_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_names_of_the_api() {
        let names = ["id", "patient_id", "next_attempt_at", "a__b"].map(camel_case);
        assert_eq!(names, ["id", "patientId", "nextAttemptAt", "aB"]);
    }
}
