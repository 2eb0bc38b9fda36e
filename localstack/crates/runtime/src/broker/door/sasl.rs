//! The requests of a client that is not let in yet (Kafka protocol guide, "SASL Authentication Sequence"; RFC 7628).

use anyhow::{Context as _, ensure};
use bytes::{Buf, BufMut, Bytes};

/// The one that MSK shares with clients other than Java's.
pub const MECHANISM: &str = "OAUTHBEARER";

pub const NONE: i16 = 0;
pub const UNSUPPORTED_MECHANISM: i16 = 33;
pub const UNSUPPORTED_VERSION: i16 = 35;
const AUTHENTICATION_FAILED: i16 = 58;

const HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const AUTHENTICATE: i16 = 36;
/// From this version on SaslAuthenticate has tagged fields and lengths that vary.
const FLEXIBLE: i16 = 2;
/// The newest version of SaslAuthenticate that is known here.
const NEWEST: i16 = 2;

/// What every request begins with.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    pub version: i16,
    id: i32,
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Versions,
    Mechanism(String),
    Authentication(Vec<u8>),
    /// Something that has no place before authentication: the request's number.
    Else(i16),
}

/// Reads one request, without its length.
pub fn read(mut from: Bytes) -> anyhow::Result<(Header, Asked)> {
    let (kind, version, id) = (short(&mut from)?, short(&mut from)?, from.try_get_i32()?);
    let header = Header { version, id };
    let asked = match kind {
        API_VERSIONS => Asked::Versions,
        HANDSHAKE => {
            ensure!((0..=1).contains(&version), "SaslHandshake has no version {version}");
            client_id(&mut from)?;
            let length = short(&mut from)?;
            Asked::Mechanism(String::from_utf8_lossy(&take(&mut from, i64::from(length))?).into_owned())
        }
        AUTHENTICATE => {
            ensure!(
                (0..=NEWEST).contains(&version),
                "SaslAuthenticate has no version {version} here"
            );
            client_id(&mut from)?;
            let length = match version >= FLEXIBLE {
                true => {
                    tags(&mut from)?;
                    i64::from(varint(&mut from)?) - 1
                }
                false => i64::from(from.try_get_i32()?),
            };
            Asked::Authentication(take(&mut from, length)?.to_vec())
        }
        other => Asked::Else(other),
    };
    Ok((header, asked))
}

impl Header {
    /// The answer to SaslHandshake: an error's number, and what mechanisms there are.
    pub fn mechanisms(self, error: i16) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_i32(self.id);
        out.put_i16(error);
        out.put_i32(1);
        out.put_i16(MECHANISM.len() as i16);
        out.put_slice(MECHANISM.as_bytes());
        out
    }

    /// The answer to SaslAuthenticate. The session it opens has no end of its own.
    pub fn authenticated(self, decided: Result<(), impl AsRef<str>>) -> Vec<u8> {
        let flexible = self.version >= FLEXIBLE;
        let mut out = Vec::new();
        out.put_i32(self.id);
        if flexible {
            out.put_u8(0);
        }
        match decided {
            Ok(()) => {
                out.put_i16(NONE);
                match flexible {
                    true => out.put_u8(0),
                    false => out.put_i16(-1),
                }
            }
            Err(why) => {
                let why = why.as_ref();
                out.put_i16(AUTHENTICATION_FAILED);
                match flexible {
                    true => put_varint(&mut out, why.len() as u32 + 1),
                    false => out.put_i16(why.len() as i16),
                }
                out.put_slice(why.as_bytes());
            }
        }
        // No bytes of SASL.
        match flexible {
            true => out.put_u8(1),
            false => out.put_i32(0),
        }
        if self.version >= 1 {
            out.put_i64(0);
        }
        if flexible {
            out.put_u8(0);
        }
        out
    }
}

/// The token in a client's first message (RFC 7628, section 3.1).
pub fn token(message: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(message).map_err(|_| "the message is not one of OAUTHBEARER".to_owned())?;
    let mut pairs = text.split('\u{1}').skip(1);
    let token = pairs.find_map(|pair| pair.strip_prefix("auth=Bearer "));
    token
        .filter(|token| text.starts_with("n,") && !token.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| "the message holds no token".to_owned())
}

fn client_id(from: &mut Bytes) -> anyhow::Result<()> {
    match short(from)? {
        -1 => Ok(()),
        length => take(from, i64::from(length)).map(drop),
    }
}

fn tags(from: &mut Bytes) -> anyhow::Result<()> {
    for _ in 0..varint(from)? {
        varint(from)?;
        let length = varint(from)?;
        take(from, i64::from(length))?;
    }
    Ok(())
}

fn short(from: &mut Bytes) -> anyhow::Result<i16> {
    from.try_get_i16().context("a request ends too early")
}

fn take(from: &mut Bytes, length: i64) -> anyhow::Result<Bytes> {
    let length = usize::try_from(length).context("a request has a length below nothing")?;
    ensure!(from.remaining() >= length, "a request ends too early");
    Ok(from.split_to(length))
}

/// Seven bits at a time, the lowest first.
fn varint(from: &mut Bytes) -> anyhow::Result<u32> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = from.try_get_u8().context("a request ends too early")?;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    anyhow::bail!("a request has a length that is none")
}

fn put_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"n,,\x01auth=Bearer abc\x01\x01";

    #[test]
    fn a_token_is_read_from_every_version_of_the_request() {
        let start = |version: i16| {
            let mut request = Vec::new();
            request.put_i16(AUTHENTICATE);
            request.put_i16(version);
            request.put_i32(7);
            request.put_i16(2);
            request.put_slice(b"me");
            request
        };
        for version in 0..=1 {
            let mut request = start(version);
            request.put_i32(MESSAGE.len() as i32);
            request.put_slice(MESSAGE);
            assert_eq!(read(request.into()).unwrap().1, Asked::Authentication(MESSAGE.to_vec()));
        }
        let mut request = start(2);
        // One tagged field, of two bytes.
        request.put_slice(&[1, 0, 2, 9, 9]);
        put_varint(&mut request, MESSAGE.len() as u32 + 1);
        request.put_slice(MESSAGE);
        request.put_u8(0);
        assert_eq!(read(request.into()).unwrap().1, Asked::Authentication(MESSAGE.to_vec()));
        assert_eq!(token(MESSAGE).unwrap(), "abc");
    }

    #[test]
    fn what_is_cut_off_or_lies_about_its_length_is_refused() {
        let mut request = Vec::new();
        request.put_i16(AUTHENTICATE);
        request.put_i16(1);
        request.put_i32(7);
        request.put_i16(-1);
        request.put_i32(1000);
        request.put_slice(MESSAGE);
        for length in 0..request.len() {
            assert!(read(Bytes::copy_from_slice(&request[..length])).is_err(), "{length}");
        }
        assert!(read(request.into()).is_err());
        for message in [
            &b"n,,\x01\x01"[..],
            b"\x00user\x00password",
            b"y,,\x01auth=Bearer a\x01\x01",
            b"\xff",
        ] {
            assert!(token(message).is_err());
        }
    }

    #[test]
    fn a_refusal_says_why_in_the_versions_own_form() {
        let header = |version| Header { version, id: 7 };
        assert_eq!(
            header(0).authenticated(Err("no")),
            [0, 0, 0, 7, 0, 58, 0, 2, b'n', b'o', 0, 0, 0, 0]
        );
        assert_eq!(
            header(2).authenticated(Err("no")),
            [0, 0, 0, 7, 0, 0, 58, 3, b'n', b'o', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let fine: Result<(), &str> = Ok(());
        assert_eq!(
            header(1).authenticated(fine),
            [0, 0, 0, 7, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }
}
