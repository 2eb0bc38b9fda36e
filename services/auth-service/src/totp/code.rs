//! Codes of an authenticator: TOTP with SHA-1, 6 digits and 30 seconds, which every authenticator knows.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use time::OffsetDateTime;
use url::form_urlencoded::byte_serialize;

/// Seconds of one time step.
const STEP_SECONDS: i64 = 30;
/// Digits of a code.
const DIGITS: u32 = 6;
/// Steps by which a clock may differ, to both sides (RFC 6238, 5.2 and 6).
const TOLERANCE: i64 = 1;
/// Maximum length of a code or recovery code as people type it.
const MAX_TYPED: usize = 40;

/// A secret that the service and an authenticator share: 160 bits (RFC 4226, 4).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Returns a random secret.
    pub fn random() -> Self {
        Self(rand::random::<[u8; 20]>().to_vec())
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the address that an authenticator reads as a QR code.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let (issuer, account) = (encoded(issuer), encoded(account));
        format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            base32(&self.0)
        )
    }

    /// Returns the code at a time.
    pub fn code(&self, at: OffsetDateTime) -> String {
        self.code_of(step(at), DIGITS)
    }

    /// Returns the time step of a code that is valid now; `None` if it is not.
    pub(super) fn step_of(&self, code: &str, now: OffsetDateTime) -> Option<i64> {
        let now = step(now);
        // All of them are compared, whichever fits.
        let steps = (now - TOLERANCE..=now + TOLERANCE).filter(|step| {
            let expected = self.code_of(*step, DIGITS);
            verify_slices_are_equal(expected.as_bytes(), code.as_bytes()).is_ok()
        });
        steps.max()
    }

    fn code_of(&self, step: i64, digits: u32) -> String {
        let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0), &step.to_be_bytes());
        let tag = tag.as_ref();
        // RFC 4226, 5.3: four bytes at the offset in the last half byte, without the sign.
        let offset = usize::from(tag[tag.len() - 1] & 0xf);
        let number = tag[offset..offset + 4]
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let width = digits as usize;
        format!("{:0width$}", (number & 0x7fff_ffff) % 10_u32.pow(digits))
    }
}

fn step(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() / STEP_SECONDS
}

/// Removes the spaces and hyphens that people type; `None` if nothing is left, or there is more than letters and digits of ASCII.
pub fn parse_code(text: &str) -> Option<String> {
    let code: String = text.chars().filter(|character| !" -".contains(*character)).collect();
    let is_code = text.len() <= MAX_TYPED && !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| code.to_ascii_uppercase())
}

/// Encodes bytes in Base32 without padding (RFC 4648, 6).
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, at| {
            bits << 8 | u64::from(chunk.get(at).copied().unwrap_or(0))
        });
        let characters = (chunk.len() * 8).div_ceil(5);
        let index = |at: usize| usize::try_from(bits >> (35 - 5 * at) & 31).unwrap_or(0);
        text.extend((0..characters).map(|at| char::from(ALPHABET[index(at)])));
    }
    text
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec());
        for (seconds, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(secret.code_of(seconds / STEP_SECONDS, 8), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_valid_in_its_step_and_the_neighbours_of_it() {
        let (secret, now) = (
            Secret::random(),
            OffsetDateTime::from_unix_timestamp(1_000_000_020).unwrap(),
        );
        let code = |seconds| secret.code(now + Duration::seconds(seconds));
        for (seconds, expected) in [(0, Some(0)), (-30, Some(-1)), (30, Some(1)), (-60, None), (60, None)] {
            let step = secret.step_of(&code(seconds), now).map(|found| found - step(now));
            // One of a million pairs of codes is equal.
            if code(seconds) != code(0) || seconds == 0 {
                assert_eq!(step, expected, "{seconds}");
            }
        }
        assert_eq!(secret.step_of("", now), None);
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (text, expected) in [
            ("", ""),
            ("f", "MY"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(text.as_bytes()), expected);
        }
    }

    #[test]
    fn the_address_is_that_of_the_key_uri_format() {
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec());
        assert_eq!(
            secret.uri("patient management", "ada+1@example.org"),
            "otpauth://totp/patient%20management:ada%2B1%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=patient%20management&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(parse_code(" 123 456").as_deref(), Some("123456"));
        assert_eq!(parse_code("abcd-efgh").as_deref(), Some("ABCDEFGH"));
        for invalid in ["", " - ", "é", "12_34", "12\n", &"1".repeat(41)] {
            assert_eq!(parse_code(invalid), None, "{invalid}");
        }
    }
}
