//! The content of an upload: decoding of chunks, and checksums.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::body::Bytes;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha256};

use crate::AwsError;

/// Returns the content of a request after comparing it with the checksums in its headers and trailers.
pub fn content(headers: &HeaderMap, body: Bytes) -> Result<Bytes, AwsError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let declared = header("x-amz-content-sha256").unwrap_or_default();
    let (body, trailers) = if declared.starts_with("STREAMING-") {
        decode_chunks(&body)?
    } else {
        (body, Vec::new())
    };
    if let Some(length) = header("x-amz-decoded-content-length")
        && length.parse() != Ok(body.len())
    {
        return Err(incomplete());
    }
    let is_digest = declared.len() == 64 && declared.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest && !declared.eq_ignore_ascii_case(&hex::encode(Sha256::digest(&body))) {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(AwsError::new("XAmzContentSHA256Mismatch", message));
    }
    if let Some(given) = header("content-md5")
        && given != BASE64_STANDARD.encode(Md5::digest(&body))
    {
        let message = "The Content-MD5 you specified did not match what we received.";
        return Err(AwsError::new("BadDigest", message));
    }
    let trailers = trailers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let sent = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    for (name, given) in sent.chain(trailers) {
        let Some(algorithm) = name.strip_prefix("x-amz-checksum-") else {
            continue;
        };
        if let Some(computed) = checksum(algorithm, &body)
            && computed != given
        {
            let algorithm = algorithm.to_uppercase();
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(AwsError::new("BadDigest", message));
        }
    }
    Ok(body)
}

/// Computes a checksum in S3's encoding; returns `None` for algorithms that are not verified here (CRC32C, CRC64NVME).
fn checksum(algorithm: &str, body: &[u8]) -> Option<String> {
    Some(match algorithm {
        "sha256" => BASE64_STANDARD.encode(Sha256::digest(body)),
        "sha1" => BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, body)),
        "crc32" => {
            let mut crc = flate2::Crc::new();
            crc.update(body);
            BASE64_STANDARD.encode(crc.sum().to_be_bytes())
        }
        _ => return None,
    })
}

fn incomplete() -> AwsError {
    AwsError::new(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
}

/// Decodes `aws-chunked`: `SIZE[;chunk-signature=…]\r\n…\r\n`, a chunk of size 0, then trailers (Amazon S3 API
/// Reference: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks").
fn decode_chunks(body: &[u8]) -> Result<(Bytes, Vec<(String, String)>), AwsError> {
    let mut content = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let (line, after) = line(rest).ok_or_else(incomplete)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| incomplete())?;
        if size == 0 {
            rest = after;
            break;
        }
        let chunk = after.get(..size).ok_or_else(incomplete)?;
        content.extend_from_slice(chunk);
        rest = after[size..].strip_prefix(b"\r\n").ok_or_else(incomplete)?;
    }
    let mut trailers = Vec::new();
    while let Some((line, after)) = line(rest) {
        if let Some((name, value)) = line.split_once(':') {
            trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        rest = after;
    }
    Ok((content.into(), trailers))
}

/// Splits the bytes after the first line.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(headers: &[(&'static str, &str)], body: &str) -> Result<String, AwsError> {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
        let content = content(&headers.collect(), Bytes::from(body.to_owned()))?;
        Ok(String::from_utf8(content.into()).unwrap())
    }

    #[test]
    fn chunks_are_joined_and_their_trailer_is_checked() {
        let streaming = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let chunks = |crc: &str| {
            format!("6\r\nhello \r\n5;chunk-signature=ab\r\nworld\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n")
        };
        assert_eq!(upload(&[streaming], &chunks("DUoRhQ==")).unwrap(), "hello world");
        assert_eq!(upload(&[streaming], &chunks("AAAAAA==")).unwrap_err().code, "BadDigest");
        assert_eq!(upload(&[streaming], "6\r\nhel").unwrap_err().code, "IncompleteBody");
        assert_eq!(
            upload(&[streaming], "fffffffffffffff0\r\nx").unwrap_err().code,
            "IncompleteBody"
        );
        let length = ("x-amz-decoded-content-length", "12");
        assert_eq!(
            upload(&[streaming, length], &chunks("DUoRhQ==")).unwrap_err().code,
            "IncompleteBody"
        );
    }

    #[test]
    fn content_that_does_not_match_its_signature_or_checksum_is_rejected() {
        let of = |name, value: &str| upload(&[(name, value)], "hello world");
        let sum = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        assert!(of("x-amz-content-sha256", sum).is_ok());
        assert!(of("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==").is_ok());
        assert!(of("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=").is_ok());
        assert_eq!(
            of("x-amz-content-sha256", &sum.replace('9', "8")).unwrap_err().code,
            "XAmzContentSHA256Mismatch"
        );
        assert_eq!(of("content-md5", "AAAA").unwrap_err().code, "BadDigest");
        assert_eq!(of("x-amz-checksum-sha256", "AAAA").unwrap_err().code, "BadDigest");
        assert!(of("x-amz-checksum-crc64nvme", "unchecked").is_ok());
    }
}
