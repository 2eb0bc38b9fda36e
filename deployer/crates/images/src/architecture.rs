//! Processor architectures of images.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A processor architecture for which images are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm, such as AWS Graviton.
    Arm64,
}

impl Architecture {
    /// Returns the architecture of this machine; `None` if images are not built for it.
    pub fn of_this_machine() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Returns the name in OCI's terms, as `runtime.GOARCH` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns Rust's target triple.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Returns the directory name of GNU and Debian.
    pub(crate) fn gnu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Returns cargo's variable for the linker of this target, and its value, unless it is set or no cross linker is installed.
    pub(crate) fn linker(self) -> Option<(String, OsString)> {
        let target = self.target().to_uppercase().replace('-', "_");
        let variable = format!("CARGO_TARGET_{target}_LINKER");
        let program = format!("{}-gcc", self.gnu());
        let is_installed = |folder: &Path| folder.join(&program).is_file();
        let installed = std::env::split_paths(&std::env::var_os("PATH")?).any(|folder| is_installed(&folder));
        (std::env::var_os(&variable).is_none() && installed).then(|| (variable, program.into()))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
