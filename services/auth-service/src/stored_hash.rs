//! Stored password hashes: argon2, and bcrypt of an earlier system.

use argon2::password_hash::{PasswordHash, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Bytes of a password that bcrypt uses; from this length on, other passwords have the same hash.
const BCRYPT_BYTES: usize = 72;
/// Accepted costs of a bcrypt hash; a higher one would hold a core for minutes.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// A hash that can be verified.
pub enum StoredHash<'a> {
    /// Any variant of argon2, with its cost.
    Argon2(Box<PasswordHash<'a>>),
    /// `$2a$`, `$2b$` or `$2y$`.
    Bcrypt(&'a str),
}

/// Result of the verification of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// The password is not the stored one, or there is no stored one.
    Mismatch,
    /// The password is the stored one.
    Match,
    /// The password is the stored one, and its hash is not like new ones: rehash it.
    OutdatedMatch,
    /// The stored hash cannot be read: the login fails, and an administrator must reset the password.
    Unreadable,
}

impl<'a> StoredHash<'a> {
    /// Reads a hash; `None` if it cannot be verified.
    pub fn parse(text: &'a str) -> Option<Self> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parts: bcrypt::HashParts = text.parse().ok()?;
            return BCRYPT_COSTS.contains(&parts.get_cost()).then_some(Self::Bcrypt(text));
        }
        let hash = PasswordHash::new(text).ok()?;
        let is_argon2 = Algorithm::try_from(hash.algorithm).is_ok() && Params::try_from(&hash).is_ok();
        (is_argon2 && hash.salt.is_some() && hash.hash.is_some()).then(|| Self::Argon2(Box::new(hash)))
    }

    /// Verifies a password; `argon2` has the cost of new hashes.
    pub fn verify(&self, password: &str, argon2: &Argon2<'_>) -> Verification {
        match self {
            // Argon2 uses the cost in the hash, not its own.
            Self::Argon2(hash) => match argon2.verify_password(password.as_bytes(), hash) {
                Err(_) => Verification::Mismatch,
                Ok(()) if has_lower_cost(hash, argon2.params()) => Verification::OutdatedMatch,
                Ok(()) => Verification::Match,
            },
            Self::Bcrypt(hash) => match bcrypt::verify(password, hash) {
                // Only the first 72 bytes are known to be right: a hash of the whole text could lock the user out.
                Ok(true) if password.len() >= BCRYPT_BYTES => Verification::Match,
                Ok(true) => Verification::OutdatedMatch,
                Ok(false) | Err(_) => Verification::Mismatch,
            },
        }
    }
}

/// Returns true if a hash has less memory, fewer passes or another algorithm than new ones.
fn has_lower_cost(hash: &PasswordHash<'_>, current: &Params) -> bool {
    let same_algorithm = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
    !same_algorithm
        || Params::try_from(hash).map_or(true, |cost| {
            cost.m_cost() < current.m_cost() || cost.t_cost() < current.t_cost()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// bcrypt of "correct horse" with the cost 4.
    fn bcrypt_hash(password: &str, version: bcrypt::Version) -> String {
        bcrypt::hash_with_result(password, 4)
            .unwrap()
            .format_for_version(version)
    }

    #[test]
    fn the_versions_of_bcrypt_are_outdated_and_unreadable_hashes_are_none() {
        let argon2 = Argon2::default();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let hash = bcrypt_hash("correct horse", version);
            let stored = StoredHash::parse(&hash).unwrap();
            assert_eq!(stored.verify("correct horse", &argon2), Verification::OutdatedMatch);
            assert_eq!(stored.verify("Correct horse", &argon2), Verification::Mismatch);
        }
        // A vector of OpenBSD's bcrypt.
        let known = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let stored = StoredHash::parse(known).unwrap();
        assert_eq!(stored.verify("U*U", &argon2), Verification::OutdatedMatch);
        for unreadable in [
            "",
            "!",
            "secret",
            "$2b$",
            "$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
            "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(StoredHash::parse(unreadable).is_none(), "{unreadable}");
        }
    }

    #[test]
    fn a_password_that_bcrypt_truncates_matches_and_is_not_rehashed() {
        let long = "x".repeat(100);
        let hash = bcrypt_hash(&long, bcrypt::Version::TwoB);
        let stored = StoredHash::parse(&hash).unwrap();
        let argon2 = Argon2::default();
        assert_eq!(stored.verify(&long, &argon2), Verification::Match);
        assert_eq!(stored.verify(&"x".repeat(71), &argon2), Verification::Mismatch);
    }
}
