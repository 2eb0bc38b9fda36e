//! Encrypted cursors: a URL is written to access logs, so the position in a list by name must not be readable there.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Cursor, SortCursor, malformed_cursor};
use crate::{Problem, Result};

/// Length of the nonce in front of the ciphertext, in bytes.
const NONCE_BYTES: usize = 12;
/// Maximum length of a sealed cursor, in bytes.
const MAX_BYTES: usize = 2048;
/// The plaintext is padded to a multiple of this number of bytes, so that its length tells nothing about a name.
const BLOCK: usize = 128;

/// A [`SortCursor`] that only a [`CursorKey`] opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCursor {
    /// Number of the key.
    key_id: i32,
    /// Nonce and ciphertext.
    sealed: Vec<u8>,
}

/// A key for cursors, which all replicas of a service share; without it, its cursors cannot be read.
pub struct CursorKey {
    id: i32,
    key: RandomizedNonceKey,
}

impl SealedCursor {
    /// Returns the number of the key that opens the cursor.
    pub fn key_id(&self) -> i32 {
        self.key_id
    }
}

impl Cursor for SealedCursor {
    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, sealed) = bytes.split_first_chunk()?;
        (sealed.len() > NONCE_BYTES && bytes.len() <= MAX_BYTES).then(|| Self {
            key_id: i32::from_be_bytes(*id),
            sealed: sealed.to_vec(),
        })
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode([&self.key_id.to_be_bytes(), self.sealed.as_slice()].concat())
    }
}

impl CursorKey {
    /// Length of a key, in bytes.
    pub const BYTES: usize = 32;

    /// Returns the key with this number.
    ///
    /// # Errors
    /// 500 if it does not have [`CursorKey::BYTES`] bytes.
    pub fn new(id: i32, key: &[u8]) -> Result<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(Problem::internal)?;
        Ok(Self { id, key })
    }

    /// Encrypts a cursor of the list with this name.
    ///
    /// # Errors
    /// 500 if the cryptographic library fails.
    pub fn seal(&self, list: &str, cursor: &SortCursor) -> Result<SealedCursor> {
        let mut body = serde_json::to_vec(cursor).map_err(Problem::internal)?;
        body.resize(body.len().next_multiple_of(BLOCK), b' ');
        let nonce = self.key.seal_in_place_append_tag(Aad::from(list), &mut body);
        let nonce = nonce.map_err(Problem::internal)?;
        Ok(SealedCursor {
            key_id: self.id,
            sealed: [nonce.as_ref().as_slice(), &body].concat(),
        })
    }

    /// Decrypts a cursor of the list with this name.
    ///
    /// # Errors
    /// 400 if this key did not seal the cursor for this list.
    pub fn open(&self, list: &str, cursor: &SealedCursor) -> Result<SortCursor> {
        let (nonce, body) = cursor.sealed.split_at(NONCE_BYTES);
        let mut body = body.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(Problem::internal)?;
        let plain = self.key.open_in_place(nonce, Aad::from(list), &mut body);
        let plain = plain.map_err(|_| malformed_cursor())?;
        serde_json::from_slice(plain).map_err(|_| malformed_cursor())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(id: i32, byte: u8) -> CursorKey {
        CursorKey::new(id, &[byte; CursorKey::BYTES]).expect("a key")
    }

    #[test]
    fn a_sealed_cursor_shows_neither_the_name_nor_its_length_and_is_read_back() {
        let position = |name: &str| SortCursor::new("name", name.to_owned(), Uuid::from_u128(7));
        let sealed = key(3, 1).seal("patients", &position("Ada Lovelace")).expect("a cursor");
        let text = sealed.encode();
        let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        assert!(!bytes.windows(3).any(|part| part == b"Ada"));
        let short = key(3, 1).seal("patients", &position("A")).expect("a cursor").encode();
        assert_eq!(text.len(), short.len());

        let read = SealedCursor::decode(&text).expect("a cursor");
        assert_eq!((read.key_id(), &read), (3, &sealed));
        let opened = key(3, 1).open("patients", &read).expect("the position");
        assert_eq!(opened, position("Ada Lovelace"));
        for (key, list) in [(key(3, 2), "patients"), (key(3, 1), "families")] {
            assert_eq!(key.open(list, &read).expect_err("another key or list").status(), 400);
        }
        let mut forged = read;
        forged.sealed[20] ^= 1;
        assert_eq!(key(3, 1).open("patients", &forged).expect_err("forged").status(), 400);
    }

    #[test]
    fn text_that_is_not_a_cursor_is_rejected() {
        for text in ["", "%%", "e30", "\0\u{fffd}", "AAAAAA", &"A".repeat(4000)] {
            assert_eq!(SealedCursor::decode(text), None, "{text}");
        }
    }
}
