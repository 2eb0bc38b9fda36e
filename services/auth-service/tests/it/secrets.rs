//! Messages of the binary about invalid settings: they contain the setting's name, never a secret's value.

use std::os::unix::ffi::OsStringExt;
use std::process::Command;

/// Runs the binary with secrets and these settings, and returns its output.
fn output(settings: &[(&str, &[u8])], arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
    command
        .env_clear()
        .env("AUTH_KEY_ENCRYPTION_KEY", "canary-key-0123456789-0123456789-0123456789")
        .env("AUTH_ADMIN_PASSWORD", "canary-password")
        .env("OIDC_CLIENT_SECRET", "canary-client-secret")
        .env(
            "DATABASE_URL",
            "postgres://canary-user:canary-secret@127.0.0.1:1/canary",
        )
        .env("DATABASE_PASSWORD", "canary-database")
        .args(arguments);
    for (name, value) in settings {
        command.env(name, std::ffi::OsString::from_vec(value.to_vec()));
    }
    let output = command.output().expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn no_message_about_invalid_settings_contains_a_secret() {
    for (settings, arguments, expected) in [
        (&[][..], &["--help"][..], "AUTH_KEY_ENCRYPTION_KEY"),
        (&[("PORT", b"99999".as_slice())], &[], "--port"),
        (&[("AUTH_ADMIN_PASSWORD", b"\xffcanary")], &[], "UTF-8"),
        (&[("DATABASE_URL", b"\xffcanary")], &[], "UTF-8"),
        (&[], &["--unknown"], "--unknown"),
        (&[("PASSWORD_MEMORY_KIB", b"1")], &[], "--password-memory-kib"),
    ] {
        let text = output(settings, arguments);
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
