//! The shared libraries that a binary needs, found as the dynamic loader finds them.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use object::Endianness;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, EM_AARCH64, EM_X86_64, FileHeader64, Machine};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// What one binary needs to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// OCI's name: `amd64` or `arm64`.
    pub architecture: &'static str,
    /// The path that the loader looks for, and the file that is there now (links followed).
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// Folders that the loader only knows from this machine's `/etc/ld.so.conf`.
    pub extra_folders: Vec<PathBuf>,
}

/// The part of an ELF file that says what it needs.
struct Needs {
    machine: Machine,
    interpreter: Option<PathBuf>,
    libraries: Vec<String>,
    /// `DT_RUNPATH`, or `DT_RPATH` where that is missing; `$ORIGIN` is replaced.
    folders: Vec<PathBuf>,
}

/// Finds everything that `binary` loads at its start. A static binary needs nothing.
pub fn closure(binary: &Path) -> anyhow::Result<Closure> {
    let first = needs(binary)?;
    let architecture = match first.machine {
        EM_X86_64 => "amd64",
        EM_AARCH64 => "arm64",
        Machine(other) => bail!(
            "{} is for a machine (ELF {other}) that images are not made for",
            binary.display()
        ),
    };
    let machine = first.machine;
    let defaults = default_folders(architecture);
    let configured = configured_folders(Path::new("/etc/ld.so.conf"), 0);
    let mut found = Closure {
        architecture,
        files: BTreeMap::new(),
        extra_folders: Vec::new(),
    };
    if let Some(interpreter) = &first.interpreter {
        found.files.insert(interpreter.clone(), real(interpreter)?);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut waiting = VecDeque::from([(binary.to_owned(), first)]);
    while let Some((of, needs)) = waiting.pop_front() {
        for library in &needs.libraries {
            if seen.contains(library) || is_interpreter(library, &found) {
                continue;
            }
            seen.push(library.clone());
            let places = needs.folders.iter().chain(&configured).chain(&defaults);
            let place = places
                .map(|folder| folder.join(library))
                .find(|path| fits(path, machine));
            let Some(place) = place else {
                bail!(
                    "{} needs the library {library}, which is nowhere on this machine\n\
                     hint: install the package that has it (`apt-file search {library}` names it)",
                    of.display()
                );
            };
            let folder = place.parent().unwrap_or(Path::new("/")).to_owned();
            let known = defaults.contains(&folder) || needs.folders.contains(&folder);
            if !known && !found.extra_folders.contains(&folder) {
                found.extra_folders.push(folder);
            }
            let file = real(&place)?;
            waiting.push_back((file.clone(), self::needs(&file)?));
            found.files.insert(place, file);
        }
    }
    found.extra_folders.sort();
    Ok(found)
}

/// glibc names its own loader as a library of some binaries.
fn is_interpreter(library: &str, found: &Closure) -> bool {
    found
        .files
        .keys()
        .any(|path| path.file_name().is_some_and(|name| name == library))
}

fn needs(path: &Path) -> anyhow::Result<Needs> {
    let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&data, path).with_context(|| format!("{} is not a 64-bit ELF file that can be packed", path.display()))
}

fn parse(data: &[u8], path: &Path) -> anyhow::Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut interpreter = None;
    for segment in header.program_headers(endian, data)? {
        if let Some(name) = segment.interpreter(endian, data)? {
            interpreter = Some(PathBuf::from(std::str::from_utf8(name)?));
        }
    }
    let sections = header.sections(endian, data)?;
    let (mut libraries, mut run_path, mut r_path) = (Vec::new(), None, None);
    if let Some((entries, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        for entry in entries {
            let text = || -> anyhow::Result<String> {
                let offset = u32::try_from(entry.d_val(endian))?;
                let bytes = strings
                    .get(offset)
                    .map_err(|()| anyhow::anyhow!("a broken string table"))?;
                Ok(std::str::from_utf8(bytes)?.to_owned())
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
    Ok(Needs {
        machine: header.e_machine(endian),
        interpreter,
        libraries,
        folders,
    })
}

/// A library of another machine is passed over, as the loader does.
fn fits(path: &Path, machine: Machine) -> bool {
    path.is_file() && needs(path).is_ok_and(|needs| needs.machine == machine)
}

fn real(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("{} is needed, and is not there", path.display()))
}

/// Where glibc's loader looks without any configuration, in Debian's layout and in the plain one.
fn default_folders(architecture: &str) -> Vec<PathBuf> {
    let triple = if architecture == "arm64" {
        "aarch64-linux-gnu"
    } else {
        "x86_64-linux-gnu"
    };
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

/// The folders of `/etc/ld.so.conf` and the files that it includes (`*` in the last part only).
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
    fn a_dynamic_binary_needs_its_loader_and_the_c_library() {
        let found = closure(Path::new("/bin/true")).unwrap();
        let names: Vec<_> = found.files.keys().filter_map(|p| p.file_name()?.to_str()).collect();
        assert!(names.contains(&"libc.so.6"), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("ld-linux")), "{names:?}");
        assert!(found.extra_folders.is_empty(), "{found:?}");
    }

    #[test]
    fn a_script_is_not_packed_as_a_binary() {
        let error = closure(Path::new("/etc/passwd")).unwrap_err();
        assert!(error.to_string().contains("not a 64-bit ELF file"), "{error:#}");
    }
}
