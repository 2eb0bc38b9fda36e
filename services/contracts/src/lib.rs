#![doc = include_str!("../README.md")]

pub mod events;
pub mod letters;
pub mod topics;

/// The encoded descriptors of every `.proto` file, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");

/// The gRPC service of billing.
pub mod billing {
    /// Version 1; a change that breaks a reader is a version 2 beside it.
    #[allow(clippy::all, reason = "generated")]
    #[rustfmt::skip]
    pub mod v1 {
        include!("generated/billing.v1.rs");
    }
}

/// The messages of topic [`topics::PATIENT`].
pub mod patient {
    /// What happened to a patient.
    #[allow(clippy::all, reason = "generated")]
    #[rustfmt::skip]
    pub mod events {
        include!("generated/patient.events.rs");
    }
}

/// The metadata key under which a gRPC peer shows its link's secret.
pub const LINK_SECRET_HEADER: &str = "x-link-secret";
