//! Properties of any body: credentials, addresses and tokens are accepted or rejected, and never a server error.

use http::Method;
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::support::{ADMIN, PASSWORD, TestApp};

const FIELDS: [&str; 9] = [
    "email",
    "password",
    "refreshToken",
    "role",
    "disabled",
    "token",
    "newPassword",
    "totp",
    "other",
];

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

/// Returns valid bodies with one arbitrary field.
fn almost_valid() -> impl Strategy<Value = Value> {
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
fn any_json_is_accepted_or_rejected() {
    let runtime = Runtime::new().expect("a runtime");
    let Some(app) = runtime.block_on(TestApp::start()) else {
        return;
    };
    let admin = runtime.block_on(app.admin_token());
    let mut runner = TestRunner::new(Config {
        cases: 256,
        failure_persistence: None,
        ..Config::default()
    });
    let routes = select(vec![
        "/login",
        "/refresh",
        "/logout",
        "/signup",
        "/users",
        "/password/reset-request",
        "/password/reset",
    ]);
    let result = runner.run(&(routes, prop_oneof![any_json(), almost_valid()]), |(path, body)| {
        let token = (path == "/users").then_some(admin.as_str());
        let (status, headers, response) = runtime.block_on(app.send(Method::POST, path, token, body));
        prop_assert!(
            status.is_success() || status.is_client_error(),
            "{} {} {}",
            path,
            status,
            response
        );
        if status.is_client_error() {
            prop_assert_eq!(&headers["content-type"], "application/problem+json");
            prop_assert_eq!(&response["status"], status.as_u16());
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(app.database.drop());
}

#[test]
fn any_authorization_is_rejected() {
    let runtime = Runtime::new().expect("a runtime");
    let Some(app) = runtime.block_on(TestApp::start()) else {
        return;
    };
    let mut runner = TestRunner::new(Config {
        cases: 128,
        failure_persistence: None,
        ..Config::default()
    });
    // Characters that a header may contain; kit tests the decoder with any text.
    let result = runner.run(
        &("[ -~]{0,200}", select(vec!["/validate", "/users", "/sessions"])),
        |(token, path)| {
            let (status, _, _) = runtime.block_on(app.send(Method::GET, path, Some(&token), Value::Null));
            prop_assert_eq!(status, 401, "{}", path);
            Ok(())
        },
    );
    result.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(app.database.drop());
}
