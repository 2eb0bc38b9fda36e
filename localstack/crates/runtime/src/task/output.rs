//! What a container writes: a file that outlives the endpoint, read line by line and given back to the disk.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

/// CloudWatch Logs' limit for one event, less its 26 bytes of overhead.
const LONGEST: usize = 262_118;

/// A reader that goes on where it, or the reader before it, stopped.
pub struct Output {
    file: File,
    mark: PathBuf,
    offset: u64,
}

impl Output {
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("output"))?;
        let mark = folder.join("output.offset");
        let offset = fs::read_to_string(&mark)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        Ok(Self { file, mark, offset })
    }

    /// The complete lines that came since the last call; with `last`, an incomplete one as well.
    pub fn lines(&mut self, last: bool) -> std::io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut buffer = vec![0; 2 * LONGEST];
        let begin = self.offset;
        loop {
            let size = self.file.read_at(&mut buffer, self.offset)?;
            let read = &buffer[..size];
            let used = match read.iter().rposition(|b| *b == b'\n') {
                Some(end) => end + 1,
                None if last || size > LONGEST => size,
                None => 0,
            };
            if used == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&read[..used]);
            found.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
            self.offset += used as u64;
        }
        if self.offset > begin {
            fs::write(&self.mark, self.offset.to_string())?;
            // The container appends to this very file, so it cannot be cut without losing what arrives meanwhile; a
            // hole gives the blocks back. A file system that has no holes keeps them until the task is gone.
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(&self.file, hole, 0, self.offset);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_once_even_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("output"), "one\ntwo\nthr").unwrap();
        assert_eq!(
            Output::open(folder.path()).unwrap().lines(false).unwrap(),
            ["one", "two"]
        );
        let mut again = Output::open(folder.path()).unwrap();
        assert!(again.lines(false).unwrap().is_empty());
        fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("output"))
            .map(|mut f| std::io::Write::write_all(&mut f, b"ee\n"))
            .unwrap()
            .unwrap();
        assert_eq!(again.lines(true).unwrap(), ["three"]);
    }
}
