//! The process that listens on a port of this machine.

use std::fs;
use std::path::Path;

/// A listening process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub pid: i32,
    pub name: String,
}

/// Returns the process that listens on a TCP port, if /proc shows it: only root sees processes of other users.
pub fn listener(port: u16) -> Option<Listener> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| sockets(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let pid = pids.find(|pid| holds(*pid, &inodes))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Listener {
        pid,
        name: name.trim().to_owned(),
    })
}

/// Returns the inodes of the sockets in state LISTEN (0A) on a port, from a table in the format of `proc_net_tcp(5)`.
fn sockets(table: &str, port: u16) -> Vec<String> {
    let listening = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let listens = u16::from_str_radix(local, 16) == Ok(port) && fields.get(3) == Some(&"0A");
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    });
    listening.collect()
}

fn holds(pid: i32, inodes: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        let target = fs::read_link(file.path()).unwrap_or_default();
        inodes
            .iter()
            .any(|inode| target == Path::new(&format!("socket:[{inode}]")))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_this_process_listens_on_is_found_and_a_free_one_is_not() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = listener(port).expect("a listener");
        assert_eq!(found.pid, std::process::id().cast_signed());
        assert!(!found.name.is_empty());
        drop(socket);
        assert_eq!(listener(port), None);
    }
}
