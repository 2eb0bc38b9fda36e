//! The verifier of access tokens: only the signed token is valid.
//!
//! The first byte selects the use of the others: as the complete token, or in place of a part of a valid one.

#![no_main]

use std::sync::LazyLock;

use kit::{Role, Verifier, testing::TestTokens};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));
static GOOD: LazyLock<(Verifier, String)> = LazyLock::new(|| {
    let tokens = TestTokens::new();
    (tokens.verifier(), tokens.token(Role::User))
});

fuzz_target!(|bytes: &[u8]| {
    let (verifier, good) = &*GOOD;
    let Some((mode, text)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let parts: Vec<&str> = good.split('.').collect();
    let token = match mode % 4 {
        0 => text.into_owned(),
        1 => format!("{text}.{}.{}", parts[1], parts[2]),
        2 => format!("{}.{text}.{}", parts[0], parts[2]),
        _ => format!("{}.{}.{text}", parts[0], parts[1]),
    };
    let valid = RUNTIME.block_on(verifier.verify(&token)).is_ok();
    assert!(!valid || token == *good, "a forged token is valid");
});
