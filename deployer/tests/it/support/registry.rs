//! A container registry (Debian's package docker-registry), and a TCP proxy to it that breaks a connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// `sesame`, as htpasswd writes it.
const USERS: &str = "ada:$2b$05$0pZzcp6.7QPQ.wwyn1a2veWX3Ir9iLIlnLky.v.AKKMqgY34YtOyy\n";

/// A registry on loopback with the user `ada` and the password `sesame`. It ends when it is dropped.
pub struct Registry {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Returns `None` where it is not installed.
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
        super::eventually("docker-registry listens", 20, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A TCP proxy that closes one connection, once, after `after` bytes were sent through it.
pub struct BreakingProxy {
    pub port: u16,
    has_broken: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl BreakingProxy {
    pub fn to(target: u16, after: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            has_broken: Arc::new(AtomicBool::new(false)),
            sent: Arc::new(AtomicU64::new(0)),
        };
        let (has_broken, sent) = (proxy.has_broken.clone(), proxy.sent.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
                    return;
                };
                let (down_from, down_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || copy(down_from, down_to, |_| true));
                let (has_broken, sent) = (has_broken.clone(), sent.clone());
                std::thread::spawn(move || {
                    let mut own = 0;
                    copy(client, server, |bytes| {
                        own += bytes;
                        sent.fetch_add(bytes, Ordering::Relaxed);
                        own < after || has_broken.swap(true, Ordering::Relaxed)
                    });
                });
            }
        });
        proxy
    }

    pub fn has_broken(&self) -> bool {
        self.has_broken.load(Ordering::Relaxed)
    }

    /// Bytes sent to the registry until now.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Copies until one side ends, or until `continues` returns false: then both sides are closed.
fn copy(mut from: TcpStream, mut to: TcpStream, mut continues: impl FnMut(u64) -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !continues(count as u64) || to.write_all(&buffer[..count]).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
