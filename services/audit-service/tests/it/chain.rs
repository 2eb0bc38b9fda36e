//! The chain: append-only, each event once, and any change is found.

use audit_service::{
    chain::{self, Appended, Head},
    verify::{Broken, Verification},
};
use contracts::audit::Event;
use futures::future::join_all;
use uuid::Uuid;

use crate::support::{TestApp, event};

#[tokio::test]
async fn a_record_cannot_be_changed_deleted_or_truncated() {
    let Some(app) = TestApp::start().await else { return };
    app.append(&event(Uuid::new_v4())).await;
    for statement in [
        "update records set outcome = 200",
        "delete from records",
        "truncate records",
        "delete from records where position = 999",
    ] {
        let error = sqlx::raw_sql(statement).execute(&app.database.pool).await;
        let error = error.expect_err(statement);
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn an_event_is_appended_once_and_read_back_as_it_was_hashed() {
    let Some(app) = TestApp::start().await else { return };
    assert_eq!(app.verify(None).await, Verification::Intact(Head::default()));
    let list = Event {
        patient: None,
        session: None,
        address: None,
        trace: None,
        shown: vec![Uuid::new_v4(), Uuid::new_v4()],
        changed_fields: vec!["name".into(), "email".into()],
        ..event(Uuid::nil())
    };
    let events = [event(Uuid::new_v4()), list];
    for event in &events {
        assert_eq!(app.append(event).await, Appended::Appended);
    }
    for event in &events {
        assert_eq!(app.append(event).await, Appended::Duplicate);
    }
    let Verification::Intact(head) = app.verify(None).await else {
        panic!("a chain that is not intact");
    };
    assert_eq!(head.position, 2);
    assert_eq!(app.verify(Some(&head)).await, Verification::Intact(head.clone()));
    assert_eq!(head.to_string().parse(), Ok(head));
    app.database.drop().await;
}

#[tokio::test]
async fn replicas_append_concurrently_to_one_chain_without_gaps_and_each_event_once() {
    let Some(app) = TestApp::start().await else { return };
    let events: Vec<Event> = (0..25).map(|_| event(Uuid::new_v4())).collect();
    let twice = events.iter().chain(&events);
    let appended = join_all(twice.map(|event| chain::append(&app.database.pool, event))).await;
    let is = |result: &sqlx::Result<Appended>, expected| matches!(result, Ok(found) if *found == expected);
    let count = |expected| appended.iter().filter(|result| is(result, expected)).count();
    assert_eq!((count(Appended::Appended), count(Appended::Duplicate)), (25, 25));
    let Verification::Intact(head) = app.verify(None).await else {
        panic!("a chain that is not intact");
    };
    assert_eq!(head.position, 25);
    app.database.drop().await;
}

#[tokio::test]
async fn whatever_is_changed_verification_finds_the_first_record() {
    let Some(app) = TestApp::start().await else { return };
    for _ in 0..4 {
        app.append(&event(Uuid::new_v4())).await;
    }
    let Verification::Intact(head) = app.verify(None).await else {
        panic!("a chain that is not intact");
    };
    for (change, broken) in [
        (
            "update records set outcome = 404 where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set actor = gen_random_uuid() where position = 3",
            Broken::Changed(3),
        ),
        (
            "update records set occurred_at = occurred_at + interval '1 microsecond' where position = 1",
            Broken::Changed(1),
        ),
        (
            "update records set recorded_at = recorded_at - interval '1 day' where position = 4",
            Broken::Changed(4),
        ),
        (
            "update records set patient_id = null where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set client_address = '' where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set trace_id = null, session_id = null where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set role = role || action, action = '' where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set shown_patient_ids = array[patient_id] where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set changed_fields = '{name}' where position = 2",
            Broken::Changed(2),
        ),
        (
            "update records set hash = sha256('x') where position = 2",
            Broken::Changed(2),
        ),
        ("delete from records where position = 2", Broken::Missing(2)),
        ("delete from records where position = 1", Broken::Missing(1)),
        ("delete from records where position = 4", Broken::NotExpected(4)),
        ("delete from records", Broken::NotExpected(4)),
    ] {
        // A superuser of the database can switch the trigger off; the chain shows it.
        let mut tampering = app.database.pool.begin().await.expect("a transaction");
        let statements =
            format!("alter table records disable trigger all; {change}; alter table records enable trigger all");
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "create table before as table records; {statements}"
        )))
        .execute(&mut *tampering)
        .await
        .expect(change);
        tampering.commit().await.expect("committed");
        assert_eq!(app.verify(Some(&head)).await, Verification::Broken(broken), "{change}");
        let restore = "alter table records disable trigger all; delete from records;
                       insert into records select * from before; drop table before; alter table records enable trigger all";
        sqlx::raw_sql(restore)
            .execute(&app.database.pool)
            .await
            .expect("restored");
        assert_eq!(
            app.verify(Some(&head)).await,
            Verification::Intact(head.clone()),
            "{change}"
        );
    }
    app.database.drop().await;
}

#[test]
fn a_head_is_a_position_and_a_hash() {
    for malformed in ["", "7", "7:", "7:zz", "7:abcd", ":abcd", "x:5f"] {
        assert!(malformed.parse::<Head>().is_err(), "{malformed}");
    }
}
