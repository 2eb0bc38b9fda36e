//! Demo patients for development.

use anyhow::{Context, anyhow};
use kit::database::Pool;
use kit::{Email, Problem};
use time::{Date, OffsetDateTime, macros::date};

use crate::{
    calendar::Today,
    patient::{input::ValidPatient, store},
};

const PATIENTS: [(&str, &str, &str, Date, Date); 15] = [
    (
        "John Doe",
        "john.doe@example.com",
        "123 Main St, Springfield",
        date!(1985 - 06 - 15),
        date!(2024 - 01 - 10),
    ),
    (
        "Jane Smith",
        "jane.smith@example.com",
        "456 Elm St, Shelbyville",
        date!(1990 - 09 - 23),
        date!(2023 - 12 - 01),
    ),
    (
        "Alice Johnson",
        "alice.johnson@example.com",
        "789 Oak St, Capital City",
        date!(1978 - 03 - 12),
        date!(2022 - 06 - 20),
    ),
    (
        "Bob Brown",
        "bob.brown@example.com",
        "321 Pine St, Springfield",
        date!(1982 - 11 - 30),
        date!(2023 - 05 - 14),
    ),
    (
        "Emily Davis",
        "emily.davis@example.com",
        "654 Maple St, Shelbyville",
        date!(1995 - 02 - 05),
        date!(2024 - 03 - 01),
    ),
    (
        "Michael Green",
        "michael.green@example.com",
        "987 Cedar St, Springfield",
        date!(1988 - 07 - 25),
        date!(2024 - 02 - 15),
    ),
    (
        "Sarah Taylor",
        "sarah.taylor@example.com",
        "123 Birch St, Shelbyville",
        date!(1992 - 04 - 18),
        date!(2023 - 08 - 25),
    ),
    (
        "David Wilson",
        "david.wilson@example.com",
        "456 Ash St, Capital City",
        date!(1975 - 01 - 11),
        date!(2022 - 10 - 10),
    ),
    (
        "Laura White",
        "laura.white@example.com",
        "789 Palm St, Springfield",
        date!(1989 - 09 - 02),
        date!(2024 - 04 - 20),
    ),
    (
        "James Harris",
        "james.harris@example.com",
        "321 Cherry St, Shelbyville",
        date!(1993 - 11 - 15),
        date!(2023 - 06 - 30),
    ),
    (
        "Emma Moore",
        "emma.moore@example.com",
        "654 Spruce St, Capital City",
        date!(1980 - 08 - 09),
        date!(2023 - 01 - 22),
    ),
    (
        "Ethan Martinez",
        "ethan.martinez@example.com",
        "987 Redwood St, Springfield",
        date!(1984 - 05 - 03),
        date!(2024 - 05 - 12),
    ),
    (
        "Sophia Clark",
        "sophia.clark@example.com",
        "123 Hickory St, Shelbyville",
        date!(1991 - 12 - 25),
        date!(2022 - 11 - 11),
    ),
    (
        "Daniel Lewis",
        "daniel.lewis@example.com",
        "456 Cypress St, Capital City",
        date!(1976 - 06 - 08),
        date!(2023 - 09 - 19),
    ),
    (
        "Isabella Walker",
        "isabella.walker@example.com",
        "789 Willow St, Springfield",
        date!(1987 - 10 - 17),
        date!(2024 - 03 - 29),
    ),
];

/// Inserts 15 patients, once in the life of a database, with the same events and billing intents as any creation.
///
/// # Errors
/// Fails if the database fails.
pub async fn insert(pool: &Pool) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    let claim = "insert into demo_seed default values on conflict do nothing";
    if sqlx::query(claim).execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(());
    }
    let date = OffsetDateTime::now_utc().date();
    let today = Today { date, latest: date };
    for (name, email, address, date_of_birth, registered_date) in PATIENTS {
        let patient = ValidPatient {
            name: name.into(),
            email: Email::parse(email)?,
            address: address.into(),
            date_of_birth,
            registered_date: Some(registered_date),
        };
        store::create(&mut transaction, &patient, today, None)
            .await
            .map_err(|problem: Problem| anyhow!("{}", problem.detail()))
            .context("cannot insert the demo patients")?;
    }
    transaction.commit().await?;
    tracing::info!(patients = PATIENTS.len(), "inserted the demo patients");
    Ok(())
}
