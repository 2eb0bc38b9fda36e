#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod architecture;
mod compile;
mod metadata;
mod provenance;

mod build;
mod ca_bundle;
mod layer;
mod layout;
mod shared_libraries;

mod archive;
mod engine;
mod push;
mod registry_credentials;
mod registry_error;

mod error;

pub use architecture::Architecture;
pub use archive::archive;
pub use build::{BuiltImage, ImageSpec, build};
pub use ca_bundle::{DATABASE_CA_BUNDLE, database_authorities, database_regions};
pub use compile::{CompileError, CompileProgress, cargo, compile};
pub use engine::{EngineError, load};
pub use error::{ElfError, ImageError};
pub use layout::Descriptor;
pub use metadata::{Metadata, MetadataError, metadata};
pub use provenance::{Provenance, provenance};
pub use push::{Progress, is_loopback, push};
pub use registry_credentials::{Credentials, CredentialsError, credentials};
pub use registry_error::PushError;
