//! The shared libraries of a binary, found as the dynamic loader finds them.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::str;

use object::Endianness;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, EM_AARCH64, EM_X86_64, FileHeader64, Machine};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use crate::architecture::Architecture;
use crate::error::{ElfError, ImageError};

/// The shared libraries of one binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLibraries {
    /// The architecture of the binary.
    pub architecture: Architecture,
    /// The path at which the loader finds a library, and the file that a link there points to.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// Directories that the loader knows from this machine's `/etc/ld.so.conf` alone.
    pub extra_folders: Vec<PathBuf>,
}

/// The dependencies of an ELF file.
struct Dependencies {
    machine: Machine,
    interpreter: Option<PathBuf>,
    libraries: Vec<String>,
    /// `DT_RUNPATH`, or `DT_RPATH` without it; with `$ORIGIN` replaced.
    folders: Vec<PathBuf>,
}

/// Returns the libraries that `binary` loads at its start. A static binary has none.
///
/// # Errors
/// A file is not an ELF file of a supported machine, or a library is not installed.
pub fn shared_libraries(binary: &Path) -> Result<SharedLibraries, ImageError> {
    let first = dependencies(binary)?;
    let machine = first.machine;
    let architecture = match machine {
        EM_X86_64 => Architecture::Amd64,
        EM_AARCH64 => Architecture::Arm64,
        Machine(machine) => {
            let path = binary.to_owned();
            return Err(ImageError::Machine { path, machine });
        }
    };
    let defaults = default_folders(architecture);
    let configured = configured_folders(Path::new("/etc/ld.so.conf"), 0);
    let mut found = SharedLibraries {
        architecture,
        files: BTreeMap::new(),
        extra_folders: Vec::new(),
    };
    if let Some(interpreter) = &first.interpreter {
        found.files.insert(interpreter.clone(), real(interpreter)?);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut waiting = VecDeque::from([(binary.to_owned(), first)]);
    while let Some((path, file)) = waiting.pop_front() {
        for library in &file.libraries {
            if seen.contains(library) || is_interpreter(library, &found) {
                continue;
            }
            seen.push(library.clone());
            let folders = file.folders.iter().chain(&configured).chain(&defaults);
            let location = folders
                .map(|folder| folder.join(library))
                .find(|path| fits(path, machine));
            let Some(location) = location else {
                let library = library.clone();
                return Err(ImageError::Library { path, library });
            };
            let folder = location.parent().unwrap_or(Path::new("/")).to_owned();
            let known = defaults.contains(&folder) || file.folders.contains(&folder);
            if !known && !found.extra_folders.contains(&folder) {
                found.extra_folders.push(folder);
            }
            let target = real(&location)?;
            waiting.push_back((target.clone(), dependencies(&target)?));
            found.files.insert(location, target);
        }
    }
    found.extra_folders.sort();
    Ok(found)
}

/// Returns true for the loader, which glibc lists as a library of some binaries.
fn is_interpreter(library: &str, found: &SharedLibraries) -> bool {
    found
        .files
        .keys()
        .any(|path| path.file_name().is_some_and(|name| name == library))
}

fn dependencies(path: &Path) -> Result<Dependencies, ImageError> {
    let data = fs::read(path).map_err(ImageError::read(path))?;
    parse(&data, path).map_err(|source| {
        let path = path.to_owned();
        ImageError::Elf { path, source }
    })
}

fn parse(data: &[u8], path: &Path) -> Result<Dependencies, ElfError> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut interpreter = None;
    for segment in header.program_headers(endian, data)? {
        if let Some(name) = segment.interpreter(endian, data)? {
            interpreter = Some(PathBuf::from(str::from_utf8(name)?));
        }
    }
    let sections = header.sections(endian, data)?;
    let (mut libraries, mut run_path, mut r_path) = (Vec::new(), None, None);
    if let Some((entries, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        for entry in entries {
            let text = || {
                let offset = u32::try_from(entry.d_val(endian)).ok();
                let bytes = offset.and_then(|offset| strings.get(offset).ok());
                let name = str::from_utf8(bytes.ok_or(ElfError::StringTable)?)?;
                Ok::<_, ElfError>(name.to_owned())
            };
            match entry.d_tag(endian) {
                DT_NEEDED => libraries.push(text()?),
                DT_RUNPATH => run_path = Some(text()?),
                DT_RPATH => r_path = Some(text()?),
                _ => {}
            }
        }
    }
    let origin = path.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let folders = run_path.or(r_path).unwrap_or_default();
    let folders = folders.split(':').filter(|folder| !folder.is_empty());
    let folders = folders
        .map(|f| f.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin).into())
        .collect();
    Ok(Dependencies {
        machine: header.e_machine(endian),
        interpreter,
        libraries,
        folders,
    })
}

/// Returns true for a library of this machine; the loader ignores others, too.
fn fits(path: &Path, machine: Machine) -> bool {
    path.is_file() && dependencies(path).is_ok_and(|file| file.machine == machine)
}

fn real(path: &Path) -> Result<PathBuf, ImageError> {
    path.canonicalize().map_err(ImageError::read(path))
}

/// Returns the directories of glibc's loader without any configuration, in Debian's layout and the common one.
fn default_folders(architecture: Architecture) -> Vec<PathBuf> {
    let triple = architecture.gnu();
    [
        format!("/lib/{triple}"),
        format!("/usr/lib/{triple}"),
        "/lib64".into(),
        "/usr/lib64".into(),
        "/lib".into(),
        "/usr/lib".into(),
    ]
    .map(PathBuf::from)
    .into()
}

/// Returns the directories of `/etc/ld.so.conf` and the files that it includes (`*` in the last part alone).
fn configured_folders(path: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string(path) else {
        return Vec::new();
    };
    let mut folders = Vec::new();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or("").trim()) {
        match line.strip_prefix("include ") {
            Some(pattern) if depth < 4 => {
                let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern.trim());
                for file in matching(&pattern) {
                    folders.extend(configured_folders(&file, depth + 1));
                }
            }
            None if line.starts_with('/') => folders.push(PathBuf::from(line)),
            _ => {}
        }
    }
    folders
}

fn matching(pattern: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name().and_then(|n| n.to_str())) else {
        return Vec::new();
    };
    let (before, after) = name.split_once('*').unwrap_or((name, ""));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| {
            let found = entry.file_name().to_string_lossy().into_owned();
            if name.contains('*') {
                found.starts_with(before) && found.ends_with(after)
            } else {
                found == name
            }
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_requires_its_loader_and_the_c_library() {
        let found = shared_libraries(Path::new("/bin/true")).unwrap();
        let names: Vec<_> = found.files.keys().filter_map(|p| p.file_name()?.to_str()).collect();
        assert!(names.contains(&"libc.so.6"), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("ld-linux")), "{names:?}");
        assert!(found.extra_folders.is_empty(), "{found:?}");
    }

    #[test]
    fn a_text_file_is_not_a_binary() {
        let error = shared_libraries(Path::new("/etc/passwd")).unwrap_err();
        assert!(matches!(error, ImageError::Elf { .. }), "{error}");
    }
}
