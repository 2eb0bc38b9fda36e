//! Encryption at rest: AES-256-GCM with a key in the state directory that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::context::Context;

const NONCE_LENGTH: usize = 12;

/// Encrypts `plain` and returns base64 text; [`open`] decrypts it with the same `purpose` only.
///
/// # Errors
/// When the key file cannot be read or created.
pub fn seal(cx: &Context, purpose: &str, plain: &[u8]) -> anyhow::Result<String> {
    let mut bytes = plain.to_vec();
    let nonce = key(cx)?
        .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut bytes)
        .map_err(|_| anyhow!("cannot encrypt a value"))?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut bytes);
    Ok(BASE64_STANDARD.encode(sealed))
}

/// Decrypts what [`seal`] returned.
///
/// # Errors
/// When the text was encrypted with another key or for another purpose, or the key file cannot be read.
pub fn open(cx: &Context, purpose: &str, sealed: &str) -> anyhow::Result<Vec<u8>> {
    let undecryptable = || {
        let path = path(cx);
        anyhow!(
            "cannot decrypt a value: is {} the key it was encrypted with?",
            path.display()
        )
    };
    let mut bytes = BASE64_STANDARD.decode(sealed).map_err(|_| undecryptable())?;
    let (nonce, rest) = bytes.split_at_mut_checked(NONCE_LENGTH).ok_or_else(undecryptable)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| undecryptable())?;
    let plain = key(cx)?
        .open_in_place(nonce, Aad::from(purpose.as_bytes()), rest)
        .map_err(|_| undecryptable())?;
    Ok(plain.to_vec())
}

/// Returns the message authentication code of `text` for `purpose` in hexadecimal digits. Only this endpoint can compute it,
/// and it is the same each time.
///
/// # Errors
/// When the key file cannot be read or created.
pub fn mac(cx: &Context, purpose: &str, text: &str) -> anyhow::Result<String> {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key_bytes(cx)?), purpose.as_bytes());
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), text.as_bytes());
    Ok(hex::encode(code))
}

fn key(cx: &Context) -> anyhow::Result<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, &key_bytes(cx)?).map_err(|_| anyhow!("the encryption key is invalid"))
}

/// Reads the key, or creates it at first use.
fn key_bytes(cx: &Context) -> anyhow::Result<[u8; 32]> {
    let path = path(cx);
    let fresh: [u8; 32] = rand::random();
    // `create_new` decides between two concurrent first uses; a partly written file is recognized by its length.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            file.write_all(&fresh)
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(fresh)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let bytes = bytes.try_into();
            bytes.map_err(|_| anyhow!("{} does not contain a key of 32 bytes", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
    }
}

fn path(cx: &Context) -> std::path::PathBuf {
    cx.root_dir().join("secrets.key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::context;

    #[test]
    fn a_sealed_value_opens_for_the_same_purpose_only() {
        let (cx, _folder) = context();
        let sealed = seal(&cx, "a", b"hush").unwrap();
        assert!(!sealed.contains("hush"));
        assert_eq!(open(&cx, "a", &sealed).unwrap(), b"hush");
        assert!(open(&cx, "b", &sealed).is_err());
        assert!(open(&cx, "a", "AAAA").is_err());
    }

    #[test]
    fn a_mac_depends_on_purpose_text_and_key() {
        let ((cx, _folder), (other, _other_folder)) = (context(), context());
        let code = mac(&cx, "a", "text").unwrap();
        assert_eq!(mac(&cx, "a", "text").unwrap(), code);
        for (cx, purpose, text) in [(&cx, "b", "text"), (&cx, "a", "other"), (&other, "a", "text")] {
            assert_ne!(mac(cx, purpose, text).unwrap(), code);
        }
    }
}
