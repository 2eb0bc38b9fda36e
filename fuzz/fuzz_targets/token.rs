//! The verifier of access tokens: nothing that is not signed by the key holds, whatever it looks like.
//!
//! The first byte says how the rest is used: as the whole token, or over the parts of a good one.

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
    let Some((how, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let parts: Vec<&str> = good.split('.').collect();
    let token = match how % 4 {
        0 => text.into_owned(),
        1 => format!("{text}.{}.{}", parts[1], parts[2]),
        2 => format!("{}.{text}.{}", parts[0], parts[2]),
        _ => format!("{}.{}.{text}", parts[0], parts[1]),
    };
    let holds = RUNTIME.block_on(verifier.verify(&token)).is_ok();
    assert!(!holds || token == *good, "a token that nobody signed holds");
});
