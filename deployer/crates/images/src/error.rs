//! Errors of building and reading images.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use crate::architecture::Architecture;

/// An image that cannot be built or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive: {0}")]
    Archive(#[source] io::Error),
    /// The disk is full. No incomplete file remains.
    #[error("no space left on the disk for {}", path.display())]
    NoSpace {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The binary is not an ELF file.
    #[error("{} is not a 64-bit ELF file: {source}", path.display())]
    Elf {
        /// The binary or library.
        path: PathBuf,
        /// The reason.
        source: ElfError,
    },
    /// The binary is for a machine without images.
    #[error("{} is for the ELF machine {machine}; images are built for x86-64 and AArch64", path.display())]
    Machine {
        /// The binary.
        path: PathBuf,
        /// The number of the machine (`e_machine`).
        machine: u16,
    },
    /// The binary is for another architecture than the tasks of its service.
    #[error("{} is built for linux/{found}, and the service's tasks run on linux/{expected}", path.display())]
    Architecture {
        /// The binary.
        path: PathBuf,
        /// The binary's architecture.
        found: Architecture,
        /// The tasks' architecture.
        expected: Architecture,
    },
    /// A shared library is not installed.
    #[error("{} requires the library {library}, which is not on this machine", path.display())]
    Library {
        /// The binary or library that requires it.
        path: PathBuf,
        /// The library's name.
        library: String,
    },
    /// The machine has no CA certificates.
    #[error("this machine has no CA certificates to copy into the image")]
    NoCertificates,
    /// The file of `database_defaults.ca_bundle` is not PEM.
    #[error("there is no certificate in {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A blob of the image does not exist any more.
    #[error("the image of {service} is not complete in target/oci")]
    Incomplete {
        /// The image's service.
        service: String,
    },
}

impl ImageError {
    /// Returns what to do next, if the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSpace { .. } => Some("free some disk space and run the command again".into()),
            Self::Library { library, .. } => Some(format!(
                "install the package that has it (`apt-file search {library}` names it)"
            )),
            Self::NoCertificates => Some(
                "`apt-get install ca-certificates` (they are expected at /etc/ssl/certs/ca-certificates.crt)".into(),
            ),
            Self::NoCertificate { .. } => Some(
                "database_defaults.ca_bundle names a PEM file, such as https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
                    .into(),
            ),
            Self::Incomplete { .. } => Some("build it again".into()),
            Self::Architecture { found, .. } => Some(format!(
                "check `build.target` in cargo's configuration, or set `architecture` of the service to that of {found}"
            )),
            Self::Read { .. } | Self::Write { .. } | Self::Archive(_) | Self::Elf { .. } | Self::Machine { .. } => None,
        }
    }

    /// Returns the error of reading a file.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Returns the error of writing a file.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Write { path, source },
        }
    }
}

/// A file that is not a valid ELF file.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// A part of the file is not valid.
    #[error(transparent)]
    Format(#[from] object::read::Error),
    /// A name is not UTF-8.
    #[error(transparent)]
    Name(#[from] Utf8Error),
    /// A name is outside the string table.
    #[error("a name is outside the string table")]
    StringTable,
}
