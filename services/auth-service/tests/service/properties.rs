//! What holds for any body: credentials, addresses and tokens are taken or refused, and never an error of the server.

use http::Method;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::support::{ADMIN, PASSWORD, Service};

const FIELDS: [&str; 6] = ["email", "password", "refreshToken", "role", "disabled", "other"];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(vec![
            ADMIN,
            "a@b",
            "\u{0}",
            "a\u{0}@example.org",
            "ADMIN",
            "12345678",
            "\u{202e}"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let name = prop_oneof![any::<String>(), select(FIELDS.to_vec()).prop_map(str::to_owned)];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name, inner), 0..6).prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// What the routes want, with one field that is something else.
fn nearly_right() -> impl Strategy<Value = Value> {
    (select(FIELDS.to_vec()), any_json(), any::<u32>(), any::<bool>()).prop_map(|(field, value, number, known)| {
        let email = if known {
            ADMIN.to_owned()
        } else {
            format!("u{number}@example.org")
        };
        let mut body = json!({"email": email, "password": PASSWORD});
        body[field] = value;
        body
    })
}

#[test]
fn any_json_is_taken_or_refused() {
    let runtime = Runtime::new().expect("a runtime");
    let Some(service) = runtime.block_on(Service::start()) else {
        return;
    };
    let admin = runtime.block_on(service.admin());
    let mut runner = TestRunner::new(Config {
        cases: 256,
        failure_persistence: None,
        ..Config::default()
    });
    let routes = select(vec!["/login", "/refresh", "/logout", "/signup", "/users"]);
    let held = runner.run(&(routes, prop_oneof![any_json(), nearly_right()]), |(path, body)| {
        let token = (path == "/users").then_some(admin.as_str());
        let (status, headers, answer) = runtime.block_on(service.send(Method::POST, path, token, body));
        prop_assert!(
            status.is_success() || status.is_client_error(),
            "{} {} {}",
            path,
            status,
            answer
        );
        if status.is_client_error() {
            prop_assert_eq!(&headers["content-type"], "application/problem+json");
            prop_assert_eq!(&answer["status"], status.as_u16());
        }
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(service.database.drop());
}

#[test]
fn any_authorization_opens_nothing() {
    let runtime = Runtime::new().expect("a runtime");
    let Some(service) = runtime.block_on(Service::start()) else {
        return;
    };
    let mut runner = TestRunner::new(Config {
        cases: 128,
        failure_persistence: None,
        ..Config::default()
    });
    // what a header may hold; the decoder itself is tried with any text in kit
    let held = runner.run(
        &("[ -~]{0,200}", select(vec!["/validate", "/users"])),
        |(token, path)| {
            let (status, _, _) = runtime.block_on(service.send(Method::GET, path, Some(&token), Value::Null));
            prop_assert_eq!(status, 401, "{}", path);
            Ok(())
        },
    );
    held.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(service.database.drop());
}
