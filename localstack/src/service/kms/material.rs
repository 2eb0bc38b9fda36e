//! Key material of asymmetric and HMAC keys: an RSA or EC private key as PKCS #8, or random bytes.

use anyhow::anyhow;
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{self, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm};
use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::spec;
use crate::records::Record;
use crate::{AwsError, Context, encryption};

/// The property with new material, and the computed value with the encrypted one.
pub const MATERIAL: &str = "Material";

/// Moves new material from the properties of a key to its computed values, encrypted.
///
/// # Errors
/// When it cannot be encrypted.
pub fn store(cx: &Context, key: &mut Record) -> anyhow::Result<()> {
    let generated = key.properties.shift_remove(MATERIAL);
    if let Some(text) = generated.as_ref().and_then(Value::as_str) {
        let sealed = encryption::seal(cx, &purpose(&key.id), text.as_bytes())?;
        key.computed.insert(MATERIAL.into(), sealed.into());
    }
    Ok(())
}

fn purpose(id: &str) -> String {
    format!("kms material {id}")
}

/// The private part of a key with a spec.
pub struct Material {
    spec: &'static str,
    private: Vec<u8>,
}

/// A message, or the digest of one, that is signed.
pub enum Signed<'a> {
    Message(&'a [u8]),
    Digest(&'a [u8]),
}

fn failed(_: Unspecified) -> anyhow::Error {
    anyhow!("a cryptographic operation failed")
}

fn rejected(error: KeyRejected) -> anyhow::Error {
    anyhow!("the key material is damaged: {error}")
}

/// Generates the material of a key; `None` for the symmetric spec, whose material is the endpoint's own.
///
/// # Errors
/// When the generator fails.
pub fn generate(spec: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let size = match spec {
        "RSA_2048" => Some(rsa::KeySize::Rsa2048),
        "RSA_3072" => Some(rsa::KeySize::Rsa3072),
        "RSA_4096" => Some(rsa::KeySize::Rsa4096),
        _ => None,
    };
    if let Some(size) = size {
        let pair = RsaKeyPair::generate(size).map_err(failed)?;
        let document = AsDer::as_der(&pair).map_err(failed)?;
        return Ok(Some(document.as_ref().to_vec()));
    }
    if let Some((signing, _)) = curve(spec) {
        let pair = EcdsaKeyPair::generate(signing).map_err(failed)?;
        return Ok(Some(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()));
    }
    Ok(mac_algorithm(spec).map(|algorithm| {
        let length = algorithm.digest_algorithm().output_len();
        (0..length).map(|_| rand::random()).collect()
    }))
}

fn curve(spec: &str) -> Option<(&'static EcdsaSigningAlgorithm, &'static dyn VerificationAlgorithm)> {
    Some(match spec {
        "ECC_NIST_P256" => (&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_ASN1),
        "ECC_NIST_P384" => (&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1),
        "ECC_NIST_P521" => (&ECDSA_P521_SHA512_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1),
        "ECC_SECG_P256K1" => (&ECDSA_P256K1_SHA256_ASN1_SIGNING, &ECDSA_P256K1_SHA256_ASN1),
        _ => return None,
    })
}

fn mac_algorithm(spec: &str) -> Option<hmac::Algorithm> {
    Some(match spec {
        "HMAC_224" => hmac::HMAC_SHA224,
        "HMAC_256" => hmac::HMAC_SHA256,
        "HMAC_384" => hmac::HMAC_SHA384,
        "HMAC_512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn rsa_algorithm(name: &str) -> Option<(&'static dyn RsaEncoding, &'static dyn VerificationAlgorithm)> {
    Some(match name {
        "RSASSA_PKCS1_V1_5_SHA_256" => (&RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
        "RSASSA_PKCS1_V1_5_SHA_384" => (&RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384),
        "RSASSA_PKCS1_V1_5_SHA_512" => (&RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512),
        "RSASSA_PSS_SHA_256" => (&RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
        "RSASSA_PSS_SHA_384" => (&RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384),
        "RSASSA_PSS_SHA_512" => (&RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512),
        _ => return None,
    })
}

/// Returns the digest of what is signed, with the digest that ends the name of the algorithm; `None` for one of another length.
pub fn digest(algorithm: &str, signed: &Signed<'_>) -> Option<Digest> {
    let kind = match algorithm.rsplit('_').next() {
        Some("384") => &digest::SHA384,
        Some("512") => &digest::SHA512,
        _ => &digest::SHA256,
    };
    match signed {
        Signed::Message(message) => Some(digest::digest(kind, message)),
        Signed::Digest(bytes) => Digest::import_less_safe(bytes, kind).ok(),
    }
}

fn oaep(algorithm: &str) -> &'static OaepAlgorithm {
    match algorithm {
        "RSAES_OAEP_SHA_1" => &OAEP_SHA1_MGF1SHA1,
        _ => &OAEP_SHA256_MGF1SHA256,
    }
}

impl Material {
    /// Returns the material of a key.
    ///
    /// # Errors
    /// When it cannot be decrypted.
    pub fn of(cx: &Context, key: &Record) -> Result<Self, AwsError> {
        let spec = spec::of(key)?.name;
        let private = BASE64_STANDARD.decode(encryption::open(
            cx,
            &purpose(&key.id),
            &key.computed(MATERIAL).unwrap_or_default(),
        )?);
        Ok(Self {
            spec,
            private: private.map_err(anyhow::Error::from)?,
        })
    }

    /// Returns new material of a spec, for a data key pair.
    ///
    /// # Errors
    /// When the generator fails, or the spec is symmetric.
    pub fn new(spec: &'static str) -> anyhow::Result<Self> {
        let private = generate(spec)?.ok_or_else(|| failed(Unspecified))?;
        Ok(Self { spec, private })
    }

    pub fn private(&self) -> &[u8] {
        &self.private
    }

    fn rsa(&self) -> anyhow::Result<RsaKeyPair> {
        RsaKeyPair::from_pkcs8(&self.private).map_err(rejected)
    }

    /// Returns the public key as a DER-encoded `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> anyhow::Result<Vec<u8>> {
        if let Some((signing, _)) = curve(self.spec) {
            let pair = EcdsaKeyPair::from_pkcs8(signing, &self.private).map_err(rejected)?;
            return Ok(AsDer::as_der(pair.public_key()).map_err(failed)?.as_ref().to_vec());
        }
        let pair = self.rsa()?;
        Ok(AsDer::as_der(pair.public_key()).map_err(failed)?.as_ref().to_vec())
    }

    pub fn sign(&self, algorithm: &str, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        if let Some((signing, _)) = curve(self.spec) {
            let pair = EcdsaKeyPair::from_pkcs8(signing, &self.private).map_err(rejected)?;
            return Ok(pair.sign_digest(digest).map_err(failed)?.as_ref().to_vec());
        }
        let (encoding, _) = rsa_algorithm(algorithm).ok_or_else(|| failed(Unspecified))?;
        let pair = self.rsa()?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign_digest(encoding, digest, &mut signature).map_err(failed)?;
        Ok(signature)
    }

    pub fn verifies(&self, algorithm: &str, digest: &Digest, signature: &[u8]) -> anyhow::Result<bool> {
        let of_curve = curve(self.spec).map(|(_, verification)| verification);
        let verification = of_curve.or_else(|| rsa_algorithm(algorithm).map(|(_, verification)| verification));
        let verification = verification.ok_or_else(|| failed(Unspecified))?;
        let key = UnparsedPublicKey::new(verification, self.public_key()?);
        Ok(key.verify_digest(digest, signature).is_ok())
    }

    /// Encrypts; `None` for a plaintext that is too long for the key.
    pub fn encrypt(&self, algorithm: &str, plain: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.private).map_err(rejected)?;
        let key = OaepPublicEncryptingKey::new(key.public_key()).map_err(failed)?;
        let mut sealed = vec![0; key.ciphertext_size()];
        Ok(key
            .encrypt(oaep(algorithm), plain, &mut sealed, None)
            .ok()
            .map(|sealed| sealed.to_vec()))
    }

    /// Decrypts; `None` for what was not encrypted with this key and algorithm.
    pub fn decrypt(&self, algorithm: &str, sealed: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.private).map_err(rejected)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(failed)?;
        let mut plain = vec![0; key.min_output_size()];
        Ok(key
            .decrypt(oaep(algorithm), sealed, &mut plain, None)
            .ok()
            .map(|plain| plain.to_vec()))
    }

    pub fn mac(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let algorithm = mac_algorithm(self.spec).ok_or_else(|| failed(Unspecified))?;
        let key = hmac::Key::new(algorithm, &self.private);
        Ok(hmac::sign(&key, message).as_ref().to_vec())
    }

    /// Returns the shared secret of this key and a peer's public key (`SubjectPublicKeyInfo`); `None` for one of another curve.
    pub fn agree(&self, peer: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let algorithm = match self.spec {
            "ECC_NIST_P256" => &ECDH_P256,
            "ECC_NIST_P384" => &ECDH_P384,
            _ => &ECDH_P521,
        };
        let key = agreement::PrivateKey::from_private_key_der(algorithm, &self.private).map_err(rejected)?;
        let peer = agreement::UnparsedPublicKey::new(algorithm, peer);
        let agreed = agreement::agree(&key, peer, Unspecified, |secret| Ok(secret.to_vec()));
        Ok(agreed.ok())
    }
}
