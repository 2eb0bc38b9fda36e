//! The events of one stream on disk: segments of JSON lines, appended and never rewritten.
//!
//! The offset of an event counts all bytes written to the stream before it, so that a token stays valid when an old
//! segment is deleted. The time span of each block of about 64 KiB is kept in memory, so that a search for the last
//! minute reads only the last block.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::Context;

const BLOCK_BYTES: u64 = 64 * 1024;
/// The size of a segment. A stream has at most two segments: its last 16 to 32 MiB.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// An event and its position. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub offset: u64,
    /// The offset after it.
    pub end: u64,
    pub timestamp: i64,
    pub ingested: i64,
    pub message: String,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    start: u64,
    end: u64,
    first: i64,
    last: i64,
}

/// The events of one stream.
#[derive(Debug)]
pub struct StreamFile {
    folder: PathBuf,
    /// The offset at which each stored segment begins, oldest first.
    segments: Vec<u64>,
    blocks: Vec<Block>,
    end: u64,
    pub last_ingested: Option<i64>,
}

impl StreamFile {
    /// Opens the stream's folder, creating it if necessary. An incomplete line that a crash left is removed.
    pub fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let mut segments: Vec<u64> = fs::read_dir(&folder)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".jsonl")?.parse().ok())
            .collect();
        segments.sort_unstable();
        let mut stream = Self {
            folder,
            segments,
            blocks: Vec::new(),
            end: 0,
            last_ingested: None,
        };
        for segment in stream.segments.clone() {
            stream.end = segment;
            let path = stream.path(segment);
            let mut lines = BufReader::new(File::open(&path)?);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line)? > 0 {
                if line.last() != Some(&b'\n') {
                    OpenOptions::new()
                        .write(true)
                        .open(&path)?
                        .set_len(stream.end - segment)?;
                    break;
                }
                let event = parse(&line, stream.end);
                stream.index(line.len() as u64, event.as_ref());
                line.clear();
            }
        }
        Ok(stream)
    }

    /// Writes events with one system call. They are readable when this returns, and survive the death of the process.
    pub fn append(&mut self, events: &[(i64, String)], ingested: i64) -> anyhow::Result<()> {
        if self
            .segments
            .last()
            .is_none_or(|start| self.end - start >= SEGMENT_BYTES)
        {
            self.segments.push(self.end);
            while self.segments.len() > 2 {
                let old = self.segments.remove(0);
                fs::remove_file(self.path(old)).ok();
                let oldest = self.segments[0];
                self.blocks.retain(|block| block.start >= oldest);
            }
        }
        let path = self.path(self.segments.last().copied().unwrap_or(self.end));
        let mut bytes = Vec::new();
        let mut written = Vec::new();
        for (timestamp, message) in events {
            let before = bytes.len();
            serde_json::to_writer(&mut bytes, &(timestamp, ingested, message))?;
            bytes.push(b'\n');
            written.push(((bytes.len() - before) as u64, *timestamp));
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let complete = file.metadata()?.len();
        if let Err(error) = file.write_all(&bytes) {
            file.set_len(complete).ok();
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
        for (length, timestamp) in written {
            let (offset, end) = (self.end, self.end + length);
            self.index(
                length,
                Some(&Event {
                    offset,
                    end,
                    timestamp,
                    ingested,
                    message: String::new(),
                }),
            );
        }
        Ok(())
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    #[cfg(test)]
    fn stored_bytes(&self) -> u64 {
        self.end - self.segments.first().copied().unwrap_or(self.end)
    }

    /// Returns the earliest and the latest time of the stored events.
    pub fn time_span(&self) -> Option<(i64, i64)> {
        let first = self.blocks.iter().map(|block| block.first).min()?;
        Some((first, self.blocks.iter().map(|block| block.last).max()?))
    }

    /// Returns the events from the offset `from` on in the first block that overlaps the times `[start, end)`, or
    /// `None` at the end of the stream.
    pub fn next_block(&self, from: u64, start: i64, end: i64) -> anyhow::Result<Option<Vec<Event>>> {
        let overlaps = |b: &&Block| b.end > from && b.last >= start && b.first < end;
        let Some(block) = self.blocks.iter().find(overlaps) else {
            return Ok(None);
        };
        self.read(block)
            .map(|events| Some(events.into_iter().filter(|e| e.offset >= from).collect()))
    }

    /// Returns the events that end at or before the offset `until` in the last such block, oldest first.
    pub fn previous_block(&self, until: u64, start: i64, end: i64) -> anyhow::Result<Option<Vec<Event>>> {
        let overlaps = |b: &&Block| b.start < until && b.last >= start && b.first < end;
        let Some(block) = self.blocks.iter().rev().find(overlaps) else {
            return Ok(None);
        };
        self.read(block)
            .map(|events| Some(events.into_iter().filter(|e| e.end <= until).collect()))
    }

    fn read(&self, block: &Block) -> anyhow::Result<Vec<Event>> {
        let segment = self
            .segments
            .iter()
            .rev()
            .find(|start| **start <= block.start)
            .copied()
            .unwrap_or_default();
        let mut file = File::open(self.path(segment))?;
        file.seek(SeekFrom::Start(block.start - segment))?;
        let mut bytes = vec![0; usize::try_from(block.end - block.start)?];
        file.read_exact(&mut bytes)?;
        let mut offset = block.start;
        let mut events = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            events.extend(parse(line, offset));
            offset += line.len() as u64;
        }
        Ok(events)
    }

    /// Adds a line to the end and its event to the index of blocks.
    fn index(&mut self, length: u64, event: Option<&Event>) {
        let start = self.end;
        self.end += length;
        let Some(event) = event else { return };
        self.last_ingested = Some(event.ingested);
        let within = self.segments.last().copied().unwrap_or_default();
        match self.blocks.last_mut() {
            Some(block) if block.end - block.start < BLOCK_BYTES && block.start >= within => {
                block.end = self.end;
                block.first = block.first.min(event.timestamp);
                block.last = block.last.max(event.timestamp);
            }
            _ => self.blocks.push(Block {
                start,
                end: self.end,
                first: event.timestamp,
                last: event.timestamp,
            }),
        }
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:020}.jsonl"))
    }
}

fn parse(line: &[u8], offset: u64) -> Option<Event> {
    let (timestamp, ingested, message) = serde_json::from_slice(line).ok()?;
    Some(Event {
        offset,
        end: offset + line.len() as u64,
        timestamp,
        ingested,
        message,
    })
}

type Key = (String, String);
type Shared = Arc<Mutex<StreamFile>>;

/// The streams that were opened since the endpoint started.
#[derive(Default)]
pub struct Files(Mutex<HashMap<Key, Shared>>);

impl Files {
    pub fn open(&self, cx: &Context, group: &str, stream: &str) -> anyhow::Result<Shared> {
        let key = (group.to_owned(), stream.to_owned());
        let mut files = self.0.lock();
        if let Some(found) = files.get(&key) {
            return Ok(found.clone());
        }
        let opened = Arc::new(Mutex::new(StreamFile::open(
            folder(cx, group).join(fingerprint(stream)),
        )?));
        files.insert(key, opened.clone());
        Ok(opened)
    }

    /// Closes and deletes one stream of the group, or all of them.
    pub fn delete(&self, cx: &Context, group: &str, stream: Option<&str>) -> anyhow::Result<()> {
        let mut files = self.0.lock();
        files.retain(|(g, s), _| g != group || stream.is_some_and(|stream| stream != s));
        let path = folder(cx, group);
        let path = stream.map_or(path.clone(), |stream| path.join(fingerprint(stream)));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot delete {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the size of a group's files.
pub fn stored_bytes(cx: &Context, group: &str) -> u64 {
    fn size(path: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(path) else { return 0 };
        let of = |entry: fs::DirEntry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        };
        entries.flatten().map(of).sum()
    }
    size(&folder(cx, group))
}

fn folder(cx: &Context, group: &str) -> PathBuf {
    cx.state_dir().join("logs").join(fingerprint(group))
}

/// Returns a name for a folder, since names of groups and streams contain slashes and colons.
fn fingerprint(name: &str) -> String {
    hex::encode(&Sha256::digest(name.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reopening_a_stream_removes_an_incomplete_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut stream = StreamFile::open(folder.path().to_owned()).unwrap();
        stream
            .append(&[(5, "one\ntwo".into()), (6, "three".into())], 7)
            .unwrap();
        let mut file = OpenOptions::new().append(true).open(stream.path(0)).unwrap();
        file.write_all(b"[8,8,\"half").unwrap();

        let mut stream = StreamFile::open(folder.path().to_owned()).unwrap();
        stream.append(&[(9, "four".into())], 9).unwrap();
        let events = stream.next_block(0, 0, 100).unwrap().unwrap();
        assert_eq!(
            events.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(),
            ["one\ntwo", "three", "four"]
        );
        assert_eq!(stream.time_span(), Some((5, 9)));
        assert_eq!(stream.next_block(0, 10, 100).unwrap(), None);
    }

    #[test]
    fn an_old_segment_is_deleted_and_offsets_continue() {
        let folder = tempfile::tempdir().unwrap();
        let mut stream = StreamFile::open(folder.path().to_owned()).unwrap();
        let line = "x".repeat(1024 * 1024);
        for second in 0..40 {
            stream.append(&[(second, line.clone())], second).unwrap();
        }
        assert!(stream.stored_bytes() < 2 * SEGMENT_BYTES + BLOCK_BYTES && stream.end() > 40 * 1024 * 1024);
        let oldest = stream.next_block(0, 0, 100).unwrap().unwrap();
        assert!(oldest[0].timestamp > 0);
        let newest = stream.previous_block(stream.end(), 0, 100).unwrap().unwrap();
        assert_eq!(newest.last().unwrap().timestamp, 39);
        let again = StreamFile::open(folder.path().to_owned()).unwrap();
        assert_eq!((again.end(), again.time_span()), (stream.end(), stream.time_span()));
    }
}
