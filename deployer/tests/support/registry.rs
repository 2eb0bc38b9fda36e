//! A registry that nobody here wrote (Debian's package docker-registry), and a line to it that breaks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// `sesame`, as htpasswd writes it.
const USERS: &str = "ada:$2b$05$0pZzcp6.7QPQ.wwyn1a2veWX3Ir9iLIlnLky.v.AKKMqgY34YtOyy\n";

/// A registry on loopback that lets `ada` in with `sesame`; ended when dropped.
pub struct Registry {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// None where it is not installed.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = super::free_port();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("users"), USERS).unwrap();
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\nauth:\n  htpasswd:\n    realm: test\n    path: {}\n",
            at("data").display(),
            at("users").display()
        );
        std::fs::write(at("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(at("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let registry = Self {
            child,
            port,
            _folder: folder,
        };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "docker-registry does not listen"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A TCP proxy that cuts one connection, once, after so many bytes have gone up through it.
pub struct BreakingLine {
    pub port: u16,
    has_broken: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl BreakingLine {
    pub fn to(target: u16, after: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let line = Self {
            port: listener.local_addr().unwrap().port(),
            has_broken: Arc::new(AtomicBool::new(false)),
            sent: Arc::new(AtomicU64::new(0)),
        };
        let (has_broken, sent) = (line.has_broken.clone(), line.sent.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
                    return;
                };
                let (down_from, down_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || pass(down_from, down_to, |_| true));
                let (has_broken, sent) = (has_broken.clone(), sent.clone());
                std::thread::spawn(move || {
                    let mut mine = 0;
                    pass(client, server, |bytes| {
                        mine += bytes;
                        sent.fetch_add(bytes, Ordering::Relaxed);
                        mine < after || has_broken.swap(true, Ordering::Relaxed)
                    });
                });
            }
        });
        line
    }

    pub fn has_broken(&self) -> bool {
        self.has_broken.load(Ordering::Relaxed)
    }

    /// Bytes that went up through it until now.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Copies until one side ends, or until `goes_on` says no: then both are closed at once.
fn pass(mut from: TcpStream, mut to: TcpStream, mut goes_on: impl FnMut(u64) -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !goes_on(count as u64) || to.write_all(&buffer[..count]).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
