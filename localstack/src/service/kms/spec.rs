//! The specs of keys: what a key can be used for, and the algorithms that it has (KMS Developer Guide, "Key spec reference").

use serde_json::{Value, json};

use crate::AwsError;
use crate::records::Record;

/// One use of a key spec, with the algorithms of it.
pub struct Spec {
    pub name: &'static str,
    pub usage: &'static str,
    pub algorithms: &'static [&'static str],
}

const OAEP: &[&str] = &["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];
const RSA_SIGNATURES: &[&str] = &[
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];

pub const SYMMETRIC: &str = "SYMMETRIC_DEFAULT";
pub const ENCRYPT: &str = "ENCRYPT_DECRYPT";
pub const SIGN: &str = "SIGN_VERIFY";
pub const MAC: &str = "GENERATE_VERIFY_MAC";
pub const AGREE: &str = "KEY_AGREEMENT";

const fn spec(name: &'static str, usage: &'static str, algorithms: &'static [&'static str]) -> Spec {
    Spec {
        name,
        usage,
        algorithms,
    }
}

/// `ECC_NIST_EDWARDS25519`, `SM2` and the ML-DSA specs are not here.
const SPECS: [Spec; 18] = [
    spec(SYMMETRIC, ENCRYPT, &[SYMMETRIC]),
    spec("RSA_2048", ENCRYPT, OAEP),
    spec("RSA_3072", ENCRYPT, OAEP),
    spec("RSA_4096", ENCRYPT, OAEP),
    spec("RSA_2048", SIGN, RSA_SIGNATURES),
    spec("RSA_3072", SIGN, RSA_SIGNATURES),
    spec("RSA_4096", SIGN, RSA_SIGNATURES),
    spec("ECC_NIST_P256", SIGN, &["ECDSA_SHA_256"]),
    spec("ECC_NIST_P384", SIGN, &["ECDSA_SHA_384"]),
    spec("ECC_NIST_P521", SIGN, &["ECDSA_SHA_512"]),
    spec("ECC_SECG_P256K1", SIGN, &["ECDSA_SHA_256"]),
    spec("ECC_NIST_P256", AGREE, &["ECDH"]),
    spec("ECC_NIST_P384", AGREE, &["ECDH"]),
    spec("ECC_NIST_P521", AGREE, &["ECDH"]),
    spec("HMAC_224", MAC, &["HMAC_SHA_224"]),
    spec("HMAC_256", MAC, &["HMAC_SHA_256"]),
    spec("HMAC_384", MAC, &["HMAC_SHA_384"]),
    spec("HMAC_512", MAC, &["HMAC_SHA_512"]),
];

/// Returns the spec of a key.
///
/// # Errors
/// `ValidationException` for a usage that the spec does not have, `UnsupportedOperationException` for a spec that the endpoint lacks.
pub fn of(key: &Record) -> Result<&'static Spec, AwsError> {
    let name = key.text("KeySpec").unwrap_or_else(|| SYMMETRIC.to_owned());
    let usage = key.text("KeyUsage").unwrap_or_else(|| ENCRYPT.to_owned());
    if let Some(found) = SPECS.iter().find(|spec| spec.name == name && spec.usage == usage) {
        return Ok(found);
    }
    Err(if SPECS.iter().any(|spec| spec.name == name) {
        let message = format!("KeyUsage {usage} is not compatible with KeySpec {name}");
        AwsError::new("ValidationException", message)
    } else {
        let message = format!("The embedded endpoint does not support keys with KeySpec {name}.");
        AwsError::new("UnsupportedOperationException", message)
    })
}

impl Spec {
    /// Returns the member of a description that lists the algorithms.
    pub fn member(&self) -> &'static str {
        match self.usage {
            SIGN => "SigningAlgorithms",
            MAC => "MacAlgorithms",
            AGREE => "KeyAgreementAlgorithms",
            _ => "EncryptionAlgorithms",
        }
    }

    /// Returns the members of `KeyMetadata` and of `GetPublicKey` that follow from the spec.
    pub fn shown(&self) -> Value {
        json!({
            "KeySpec": self.name, "CustomerMasterKeySpec": self.name, "KeyUsage": self.usage, self.member(): self.algorithms,
        })
    }

    /// Checks that an operation suits the key (KMS API Reference, `InvalidKeyUsageException`).
    ///
    /// # Errors
    /// `InvalidKeyUsageException`.
    pub fn check(&self, arn: &str, operation: &str, usage: &str, algorithm: &str) -> Result<(), AwsError> {
        let message = if self.usage != usage {
            format!("{arn} key usage is {} which is not valid for {operation}.", self.usage)
        } else if !self.algorithms.contains(&algorithm) {
            format!("Algorithm {algorithm} is incompatible with key spec {}.", self.name)
        } else {
            return Ok(());
        };
        Err(AwsError::new("InvalidKeyUsageException", message))
    }
}

/// Returns the name of a spec that key pairs can have.
pub fn pair(name: &str) -> Option<&'static str> {
    let found = SPECS.iter().find(|spec| spec.name == name && spec.usage == SIGN);
    found.map(|spec| spec.name)
}
