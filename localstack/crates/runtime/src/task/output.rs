//! A container's output: a file that survives the endpoint, read line by line; its space is released after reading.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

/// The maximum of CloudWatch Logs for one event, minus its 26 bytes of overhead.
const MAX_LINE: usize = 262_118;

/// A reader that continues where it, or an earlier reader, stopped.
pub struct Output {
    file: File,
    offset_file: PathBuf,
    offset: u64,
}

impl Output {
    /// Opens the output of a container, by its folder.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("output"))?;
        let offset_file = folder.join("output.offset");
        let offset = fs::read_to_string(&offset_file)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        Ok(Self {
            file,
            offset_file,
            offset,
        })
    }

    /// Returns the complete lines since the last call, and with `at_end` also an incomplete one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn lines(&mut self, at_end: bool) -> std::io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut buffer = vec![0; 2 * MAX_LINE];
        let start = self.offset;
        loop {
            let size = self.file.read_at(&mut buffer, self.offset)?;
            let read = &buffer[..size];
            let used = match read.iter().rposition(|b| *b == b'\n') {
                Some(end) => end + 1,
                None if at_end || size > MAX_LINE => size,
                None => 0,
            };
            if used == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&read[..used]);
            found.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
            self.offset += used as u64;
        }
        if self.offset > start {
            fs::write(&self.offset_file, self.offset.to_string())?;
            // The container appends to this file, so truncating it could lose lines; a hole releases the blocks. A file
            // system without holes keeps them until the task is deleted.
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
    fn each_line_is_returned_once_even_after_a_restart() {
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
