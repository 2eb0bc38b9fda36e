//! The verifier with forged tokens; scripts/fuzz fuzzes the same property.

use kit::{Role, testing::TestTokens};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

#[test]
fn only_the_signed_token_is_valid() {
    let runtime = Runtime::new().expect("a runtime");
    let tokens = TestTokens::new();
    let (verifier, good) = (tokens.verifier(), tokens.token(Role::User));
    let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let forged = prop_oneof![
        any::<String>(),
        "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,90}",
        (0usize..3, "[A-Za-z0-9_=-]{0,120}").prop_map({
            let parts = parts.clone();
            move |(at, text)| {
                let mut parts = parts.clone();
                parts[at] = text;
                parts.join(".")
            }
        }),
        // A valid token with another character.
        (any::<prop::sample::Index>(), any::<char>()).prop_map({
            let good = good.clone();
            move |(at, character)| {
                let at = at.index(good.len());
                format!("{}{character}{}", &good[..at], &good[at + 1..])
            }
        }),
    ];
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&forged, |token| {
        let valid = runtime.block_on(verifier.verify(&token)).is_ok();
        prop_assert!(!valid || token == good, "a forged token is valid");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(runtime.block_on(verifier.verify(&good)).is_ok());
}
