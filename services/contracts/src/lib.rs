#![doc = include_str!("../README.md")]

pub mod audit;
pub mod dead_letters;
pub mod events;
mod instant;
pub mod topics;

/// The encoded descriptors of every `.proto` file, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

/// The gRPC service of billing.
pub mod billing {
    /// Version 1; an incompatible change becomes version 2 beside it.
    #[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("generated/billing.v1.rs");
    }
}

/// The messages of topic [`topics::PATIENT`].
pub mod patient {
    /// Changes of a patient.
    #[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
    #[rustfmt::skip]
    pub mod events {
        include!("generated/patient.events.rs");
    }
}

/// The metadata key with the secret of a gRPC link.
pub const LINK_SECRET_HEADER: &str = "x-link-secret";
