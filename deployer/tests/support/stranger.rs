//! A tiny service that nobody here wrote, with its manifest.

use std::process::Command;

use super::Scratch;

const SERVICE: &str = r#"
use std::io::{Read, Write};

fn main() {
    if std::env::var("CRASH").is_ok() {
        eprintln!("cannot find the sesame");
        std::process::exit(7);
    }
    let variable = |name| std::env::var(name).unwrap();
    let listener = std::net::TcpListener::bind(format!("{}:{}", variable("HOST"), variable("PORT"))).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    }
}
"#;

/// A cargo workspace with one service, and its manifest.
pub fn stranger() -> Scratch {
    let scratch = Scratch::new();
    let write = |file: &str, text: &str| {
        let path = scratch.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"hello\"]\nresolver = \"3\"\n");
    write(
        "hello/Cargo.toml",
        "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    write("hello/src/main.rs", SERVICE);
    let manifest = format!(
        "[project]\nname = \"hello\"\n\n[ingress]\nservice = \"hello\"\nport = {}\n\n[services.hello]\nports = {{ http = 8000 }}\n\n[environments.dev]\n",
        scratch.ingress
    );
    write("deployer.toml", &manifest);
    let made = Command::new("cargo")
        .args(["generate-lockfile", "--offline"])
        .current_dir(scratch.path())
        .status()
        .unwrap();
    assert!(made.success());
    scratch
}
