//! The bytes of an HTTP/1 client, released to the parser request by request, so that each head is seen as it was sent.
//!
//! The parser normalizes what it reads: of two equal `Content-Length` headers it keeps one. The classification of
//! desync mitigation needs the original.

use std::mem;

use super::desync::{self, Verdict};

/// A head that is longer is released unseen; the parser rejects it.
const MAX_HEAD: usize = 512 << 10;

/// Received bytes that the parser does not have yet.
#[derive(Default)]
pub struct RequestGate {
    bytes: Vec<u8>,
    /// Bytes at the beginning of `bytes` that were searched for the end of a head.
    searched: usize,
    /// Bytes at the beginning of `bytes` that may be read.
    released: usize,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    #[default]
    Head,
    /// A body with this number of further bytes.
    Sized(u64),
    Chunked(Chunks),
    /// Everything is released: the parser rejects it, or the connection is no longer HTTP.
    Open,
}

impl RequestGate {
    /// Returns true in the middle of a head.
    pub fn is_in_head(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.bytes.len() > self.released
    }

    /// Adds received bytes. Returns a verdict on each head that is complete now.
    pub fn push(&mut self, received: &[u8]) -> Vec<Verdict> {
        self.bytes.extend_from_slice(received);
        let mut verdicts = Vec::new();
        loop {
            let rest = &self.bytes[self.released..];
            match &mut self.phase {
                Phase::Open => {
                    self.released = self.bytes.len();
                    return verdicts;
                }
                _ if rest.is_empty() => return verdicts,
                Phase::Sized(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    self.released += count;
                    *left -= count as u64;
                    if *left == 0 {
                        self.expect_head();
                    }
                }
                Phase::Chunked(chunks) => {
                    let (count, is_complete) = chunks.consume(rest);
                    self.released += count;
                    if is_complete {
                        self.expect_head();
                    }
                }
                Phase::Head => {
                    let from = self.searched.max(self.released);
                    let Some(end) = end_of_head(&self.bytes, self.released, from) else {
                        // The line end before an empty line may be the last byte so far.
                        self.searched = self.bytes.len().saturating_sub(3).max(self.released);
                        if rest.len() > MAX_HEAD {
                            self.open();
                        } else {
                            return verdicts;
                        }
                        continue;
                    };
                    let (verdict, framing) = desync::inspect(&self.bytes[self.released..end]);
                    verdicts.push(verdict);
                    self.released = end;
                    self.searched = end;
                    self.phase = match framing {
                        desync::Framing::None => Phase::Head,
                        desync::Framing::Sized(length) => Phase::Sized(length),
                        desync::Framing::Chunked => Phase::Chunked(Chunks::default()),
                        desync::Framing::Unknown => Phase::Open,
                    };
                }
            }
        }
    }

    /// Returns at most `limit` bytes that the parser may have, and removes them.
    pub fn take(&mut self, limit: usize) -> Vec<u8> {
        let count = self.released.min(limit);
        let rest = self.bytes.split_off(count);
        self.released -= count;
        self.searched = self.searched.saturating_sub(count);
        mem::replace(&mut self.bytes, rest)
    }

    /// Releases everything from now on.
    pub fn open(&mut self) {
        self.phase = Phase::Open;
        self.released = self.bytes.len();
    }

    fn expect_head(&mut self) {
        self.phase = Phase::Head;
        self.searched = self.released;
    }
}

/// Returns the end of the empty line after a head that begins at `start`. Empty lines before it are part of it (RFC 9112, 2.2).
fn end_of_head(bytes: &[u8], start: usize, from: usize) -> Option<usize> {
    let first = bytes[start..].iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let from = from.max(start + first);
    let ends = bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| from + at + 1).find_map(|next| match &bytes[next..] {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

/// The place in a chunked body (RFC 9112, 7.1). A malformed body is released as it comes; the parser rejects it.
#[derive(Default)]
struct Chunks {
    place: Place,
    size: u64,
}

#[derive(Default)]
enum Place {
    #[default]
    Size,
    Extension,
    Data,
    DataEnd,
    /// A line after the last chunk; true while it is empty.
    Trailer(bool),
}

impl Chunks {
    /// Returns the number of bytes that belong to the body, and true if it ends with them.
    fn consume(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match (&mut self.place, byte) {
                (Place::Size | Place::Extension, b'\n') => {
                    self.place = if self.size == 0 {
                        Place::Trailer(true)
                    } else {
                        Place::Data
                    };
                }
                (Place::Size, digit) if digit.is_ascii_hexdigit() => {
                    let digit = char::from(*digit).to_digit(16).unwrap_or_default();
                    self.size = self.size.saturating_mul(16).saturating_add(digit.into());
                }
                (Place::Size, b'\r') => {}
                (Place::Size | Place::Extension, _) => self.place = Place::Extension,
                (Place::Data, _) => {
                    let rest = bytes.len() - (at - 1);
                    let count = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest);
                    self.size -= count as u64;
                    at += count - 1;
                    if self.size == 0 {
                        self.place = Place::DataEnd;
                    }
                }
                (Place::DataEnd, b'\n') => self.place = Place::Size,
                (Place::DataEnd, _) => {}
                (Place::Trailer(true), b'\n') => return (at, true),
                (Place::Trailer(is_empty), byte) => *is_empty = *byte == b'\n' || (*is_empty && *byte == b'\r'),
            }
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes the bytes in pieces, and returns what each of the reads that follow a piece has, with the number of heads.
    fn read(pieces: &[&str]) -> (String, usize) {
        let (mut gate, mut heads, mut seen) = (RequestGate::default(), 0, String::new());
        for piece in pieces {
            heads += gate.push(piece.as_bytes()).len();
            seen.push_str(&String::from_utf8(gate.take(usize::MAX)).unwrap());
            seen.push('|');
        }
        (seen, heads)
    }

    #[test]
    fn a_head_is_released_when_it_is_complete_and_every_head_is_seen() {
        assert_eq!(
            read(&["GET / HT", "TP/1.1\r\n\r", "\n"]),
            ("||GET / HTTP/1.1\r\n\r\n|".into(), 1)
        );
        let sized = "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(read(&[&format!("{sized}{sized}GET")]).1, 2);
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\na\n\n\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(read(&[&format!("{chunked}{chunked}{sized}")]).1, 3);
        for cut in 1..chunked.len() {
            let (first, rest) = chunked.split_at(cut);
            assert_eq!(read(&[first, &format!("{rest}{sized}")]).1, 2, "cut at {cut}");
        }
        assert_eq!(read(&["\r\nGET / HTTP/1.1\n\n"]).1, 1);
    }
}
