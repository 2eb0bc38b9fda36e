//! Secrets at rest: AES-256-GCM under a key that lies in the state directory, for its owner only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Context;

const NONCE: usize = 12;

/// Seals `plain`; only `open` with the same `purpose` gives it back. The answer is base64 text.
pub fn seal(cx: &Context, purpose: &str, plain: &[u8]) -> anyhow::Result<String> {
    let mut bytes = plain.to_vec();
    let nonce = key(cx)?
        .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut bytes)
        .map_err(|_| anyhow!("cannot seal a value"))?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut bytes);
    Ok(BASE64_STANDARD.encode(sealed))
}

/// Fails when the text was not sealed here, or for something else.
pub fn open(cx: &Context, purpose: &str, sealed: &str) -> anyhow::Result<Vec<u8>> {
    let unreadable = || {
        anyhow!(
            "a sealed value is not readable: is {} the key it was made with?",
            path(cx).display()
        )
    };
    let mut bytes = BASE64_STANDARD.decode(sealed).map_err(|_| unreadable())?;
    let (nonce, rest) = bytes.split_at_mut_checked(NONCE).ok_or_else(unreadable)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
    let plain = key(cx)?
        .open_in_place(nonce, Aad::from(purpose.as_bytes()), rest)
        .map_err(|_| unreadable())?;
    Ok(plain.to_vec())
}

/// What only this endpoint can say of `text`, in hexadecimal digits: the same each time.
pub fn stamp(cx: &Context, purpose: &str, text: &str) -> anyhow::Result<String> {
    let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes(cx)?), purpose.as_bytes());
    let said = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()), text.as_bytes());
    Ok(hex::encode(said))
}

fn key(cx: &Context) -> anyhow::Result<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, &bytes(cx)?).map_err(|_| anyhow!("the key of the secrets is refused"))
}

/// Reads the key, or makes it at first use.
fn bytes(cx: &Context) -> anyhow::Result<[u8; 32]> {
    let path = path(cx);
    let fresh: [u8; 32] = rand::random();
    // `create_new` decides between two first uses at once; a file written in part is told apart by its length.
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
            bytes.map_err(|_| anyhow!("{} does not hold a key of 32 bytes", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

fn path(cx: &Context) -> std::path::PathBuf {
    cx.state_dir().join("secrets.key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    use crate::Config;
    use crate::store::Store;

    fn context() -> (Context, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.redb")).unwrap();
        let config = Config {
            port: 0,
            state_dir: folder.path().to_owned(),
            slice: 77,
            region: "us-east-1".into(),
            broker: None,
        };
        (Context::new(config, store), folder)
    }

    #[test]
    fn a_sealed_value_opens_for_its_own_purpose_only() {
        let (cx, _folder) = context();
        let sealed = seal(&cx, "a", b"hush").unwrap();
        assert!(!sealed.contains("hush"));
        assert_eq!(open(&cx, "a", &sealed).unwrap(), b"hush");
        assert!(open(&cx, "b", &sealed).is_err());
        assert!(open(&cx, "a", "AAAA").is_err());
    }

    #[test]
    fn a_stamp_is_the_same_each_time_and_another_for_all_else() {
        let ((cx, _folder), (other, _other_folder)) = (context(), context());
        let said = stamp(&cx, "a", "text").unwrap();
        assert_eq!(stamp(&cx, "a", "text").unwrap(), said);
        for (cx, purpose, text) in [(&cx, "b", "text"), (&cx, "a", "other"), (&other, "a", "text")] {
            assert_ne!(stamp(cx, purpose, text).unwrap(), said);
        }
    }
}
