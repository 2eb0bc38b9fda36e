//! A small project of one service.

use std::process::Command;

use super::Project;

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

/// A cargo workspace with the service `hello`, and its manifest.
pub fn hello() -> Project {
    let project = Project::new();
    let write = |file: &str, text: &str| {
        let path = project.path().join(file);
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
        project.ingress
    );
    write("deployer.toml", &manifest);
    let locked = Command::new("cargo")
        .args(["generate-lockfile", "--offline"])
        .current_dir(project.path())
        .status()
        .unwrap();
    assert!(locked.success());
    project
}
