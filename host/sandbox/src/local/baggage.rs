//! What the launcher brings along into an image.
//!
//! The first processes of a sandbox are the host's own program, which is linked
//! with the machine's C library. An image has another one, or none. So the
//! program loader and the libraries of the launcher lie in a folder of their
//! own in there, and the launcher is started by that loader, which is told to
//! look nowhere else; the one list that it reads all the same, `/etc/ld.so.preload`, is closed
//! (`bwrap.rs`). The command that it becomes in the end knows nothing of it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// Where it lies inside.
pub const PLACE: &str = "/run/host";

/// The loader's name in there.
const LOADER: &str = "loader";

/// What a program needs to start where nothing of this machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baggage {
    /// None of a program that is linked statically.
    loader: Option<PathBuf>,
    /// The name that the program asks for, and the file that it gets.
    libraries: Vec<(String, PathBuf)>,
}

impl Baggage {
    /// Asks the loader of `program`, which is the host's own.
    pub fn of(program: &Path) -> io::Result<Self> {
        let Some(loader) = loader_of(&fs::read(program)?)? else {
            return Ok(Self { loader: None, libraries: Vec::new() });
        };
        let asked = Command::new(&loader).arg("--list").arg(program).env_clear().stdin(Stdio::null()).output()?;
        if !asked.status.success() {
            let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
            return Err(io::Error::other(format!("`{} --list` failed: {said}", loader.display())));
        }
        let libraries = libraries(&String::from_utf8_lossy(&asked.stdout))?;
        Ok(Self { loader: Some(loader), libraries })
    }

    /// What stands before the program when it is started.
    pub fn words(&self) -> Vec<String> {
        match &self.loader {
            Some(_) => {
                [&format!("{PLACE}/{LOADER}"), "--inhibit-cache", "--library-path", PLACE].map(str::to_owned).to_vec()
            }
            None => Vec::new(),
        }
    }

    /// Files of this machine, and where they are in the sandbox.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, String)> + '_ {
        let loader = self.loader.iter().map(|path| (path.clone(), format!("{PLACE}/{LOADER}")));
        loader.chain(self.libraries.iter().map(|(name, path)| (path.clone(), format!("{PLACE}/{name}"))))
    }
}

/// Lines like `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)`; others
/// name the loader itself and what the kernel brings.
fn libraries(listed: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let named = listed.lines().filter_map(|line| line.trim().split_once(" => "));
    named
        .map(|(name, found)| {
            let path = found.rsplit_once(" (").map_or(found, |(path, _)| path);
            // A program may ask for a library by its path.
            let name = name.rsplit('/').next().unwrap_or(name);
            match path.starts_with('/') {
                true => Ok((name.to_owned(), PathBuf::from(path))),
                false => Err(io::Error::other(format!("library `{name}`: {path}"))),
            }
        })
        .collect()
}

/// The loader that an ELF file asks for; none if it needs none.
///
/// Source: the ELF specification, program headers, `PT_INTERP`.
fn loader_of(elf: &[u8]) -> io::Result<Option<PathBuf>> {
    const INTERPRETER: u32 = 3;
    let broken = || io::Error::other("it is no 64-bit ELF program of this machine");
    let number = |at: usize, bytes: usize| -> io::Result<u64> {
        let field = at.checked_add(bytes).and_then(|end| elf.get(at..end)).ok_or_else(broken)?;
        let mut all = [0; 8];
        all[..bytes].copy_from_slice(field);
        Ok(u64::from_le_bytes(all))
    };
    if elf.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(broken());
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = usize::try_from(table.saturating_add(index * size)).map_err(|_| broken())?;
        if number(header, 4)? != u64::from(INTERPRETER) {
            continue;
        }
        let (start, length) = (number(header + 8, 8)? as usize, number(header + 32, 8)? as usize);
        let text = start.checked_add(length).and_then(|end| elf.get(start..end)).ok_or_else(broken)?;
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        return Ok(Some(PathBuf::from(std::ffi::OsStr::from_bytes(text))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_says_what_it_needs() {
        let baggage = Baggage::of(&std::env::current_exe().unwrap()).unwrap();
        let names: Vec<_> = baggage.files().map(|(source, target)| (source.is_file(), target)).collect();
        assert!(names.contains(&(true, "/run/host/loader".to_owned())), "{names:?}");
        assert!(names.iter().any(|(_, target)| target.starts_with("/run/host/libc.")), "{names:?}");
        assert!(names.iter().all(|(is_there, _)| *is_there), "{names:?}");
    }

    #[test]
    fn what_is_no_program_or_lacks_a_library_is_an_error() {
        for bytes in [&b""[..], b"#!/bin/sh", b"\x7fELF\x02\x01", b"\x7fELF\x01\x01 and so on"] {
            assert!(loader_of(bytes).is_err(), "{bytes:?}");
        }
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibx.so => not found\n";
        assert_eq!(libraries(text).unwrap_err().to_string(), "library `libx.so`: not found");
        let text = "\tlibx.so => /lib/libx.so.1.2 (0x7f)\n\t/lib64/ld.so (0x1)\n";
        assert_eq!(libraries(text).unwrap(), [("libx.so".to_owned(), PathBuf::from("/lib/libx.so.1.2"))]);
    }
}
