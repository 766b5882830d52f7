//! What runs a program: the interpreter that a script names in its first line, or the loader that
//! an ELF file names (execve(2)). For hints, so in the parent only.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use libc::c_int;

use super::steps::Plan;
use crate::read;
use crate::sys;

/// Where the child looks for files, as far as its parent can look there.
pub(super) struct View<'a> {
    root: Option<OwnedFd>,
    cwd: Option<&'a CStr>,
}

impl<'a> View<'a> {
    /// `None` if the parent cannot look there.
    pub(super) fn new(plan: &'a Plan) -> Option<Self> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let root = plan.root.as_deref().map(|root| sys::open(root, flags));
        Some(View {
            root: root.transpose().ok()?,
            cwd: plan.cwd.as_deref(),
        })
    }

    /// What has this name there, which is not opened: a device would notice.
    pub(super) fn find(&self, name: &[u8]) -> Result<OwnedFd, c_int> {
        let below = match self.cwd {
            Some(cwd) if !name.starts_with(b"/") => [cwd.to_bytes(), b"/", name].concat(),
            _ => name.into(),
        };
        let name = CString::new(below).map_err(|_| libc::EINVAL)?;
        let found = match &self.root {
            Some(root) => sys::find_in_root(root, &name),
            None => sys::open(&name, libc::O_PATH),
        };
        found.map_err(|error| error.errno())
    }
}

/// Why a program that is there cannot be run, if it fails for want of another file.
pub(super) fn missing(view: &View<'_>, program: &[u8], errno: c_int) -> Option<String> {
    let file = view.find(program).ok()?;
    if let Some(hint) = noexec(&file, errno, "it") {
        return Some(hint);
    }
    let (mut file, mut of) = (file, "its");
    // the kernel follows no more
    for _ in 0..6 {
        let (kind, name) = match needed(&file).ok()? {
            Needed::Interpreter(name) => ("interpreter", name),
            Needed::Loader(name) => ("loader", name),
            Needed::Shell => {
                let hint = "it has no #! line, and /bin/sh is missing";
                let lacks = errno == libc::ENOENT && view.find(b"/bin/sh").is_err();
                return lacks.then(|| hint.into());
            }
            Needed::Nothing => return None,
        };
        let shown = read::quoted(&String::from_utf8_lossy(&name));
        let next = match view.find(&name) {
            Ok(next) => next,
            Err(error) if error == errno => {
                let carriage = match name.ends_with(b"\r") {
                    true => ": the first line ends in CR LF",
                    false => "",
                };
                let reason = match errno {
                    libc::ENOENT => "is missing".into(),
                    _ => format!("cannot be reached: {}", sys::strerror(errno)),
                };
                return Some(format!("{of} {kind} {shown} {reason}{carriage}"));
            }
            Err(_) => return None,
        };
        if let Some(hint) = noexec(&next, errno, &format!("{of} {kind} {shown}")) {
            return Some(hint);
        }
        (file, of) = (next, "its interpreter's");
    }
    (errno == libc::ELOOP).then(|| "its interpreter has an interpreter, and so on".into())
}

/// Why the kernel refuses to run this file with EACCES, whoever asks, where the errno alone does
/// not tell.
fn noexec(file: &OwnedFd, errno: c_int, what: &str) -> Option<String> {
    if errno != libc::EACCES {
        return None;
    }
    let link = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let mode = std::fs::metadata(link.to_str().ok()?).ok()?.mode();
    let is_file = mode & libc::S_IFMT == libc::S_IFREG;
    if is_file && sys::is_mounted_noexec(&link) {
        return Some(format!("{what} is on a file system that is mounted noexec"));
    }
    (what != "it" && (!is_file || mode & 0o111 == 0)).then(|| format!("{what} may not be executed"))
}

/// What a program needs to run.
enum Needed {
    Interpreter(Vec<u8>),
    Loader(Vec<u8>),
    /// execvp(3) has it run by /bin/sh.
    Shell,
    Nothing,
}

fn needed(file: &OwnedFd) -> io::Result<Needed> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    // a regular file only: to open others can wait, or do something
    if !std::fs::metadata(&link)?.is_file() {
        return Ok(Needed::Nothing);
    }
    let mut options = File::options();
    options.read(true);
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(&link)?;
    // as much as the kernel looks at (BINPRM_BUF_SIZE)
    let mut start = [0; 256];
    let len = file.read_at(&mut start, 0)?;
    let start = &start[..len];
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let begin = line.iter().position(|byte| !is_space(byte));
        let name = &line[begin.unwrap_or(line.len())..];
        let name = name.split(|byte| is_space(byte) || *byte == 0).next();
        return Ok(match name.unwrap_or_default() {
            [] => Needed::Shell,
            name => Needed::Interpreter(name.into()),
        });
    }
    if !start.starts_with(b"\x7fELF") {
        return Ok(Needed::Shell);
    }
    Ok(match loader(&file, start)? {
        Some(name) => Needed::Loader(name),
        None => Needed::Nothing,
    })
}

/// The loader that an ELF file names in its segment PT_INTERP (elf(5)); `None` if it names none, or
/// is not as it should be.
fn loader(file: &File, header: &[u8]) -> io::Result<Option<Vec<u8>>> {
    const PT_INTERP: u64 = 3;
    let (wide, big) = match header.get(4..6) {
        Some(&[class, data]) => (class == 2, data == 2),
        _ => return Ok(None),
    };
    let number = |bytes: &[u8], at: usize, len: usize| -> u64 {
        let bytes = bytes.get(at..at + len).unwrap_or_default().iter();
        let number = |number, &byte| number << 8 | u64::from(byte);
        match big {
            true => bytes.fold(0, number),
            false => bytes.rev().fold(0, number),
        }
    };
    // e_phoff, e_phentsize, e_phnum; p_offset, p_filesz
    let (headers, size, count) = match wide {
        true => (
            number(header, 32, 8),
            number(header, 54, 2),
            number(header, 56, 2),
        ),
        false => (
            number(header, 28, 4),
            number(header, 42, 2),
            number(header, 44, 2),
        ),
    };
    for n in 0..count {
        let mut segment = [0; 56];
        let len = match wide {
            true => 56,
            false => 32,
        };
        file.read_exact_at(&mut segment[..len], headers.saturating_add(n * size))?;
        if number(&segment, 0, 4) != PT_INTERP {
            continue;
        }
        let (offset, len) = match wide {
            true => (number(&segment, 8, 8), number(&segment, 32, 8)),
            false => (number(&segment, 4, 4), number(&segment, 16, 4)),
        };
        if !(2..=libc::PATH_MAX as u64).contains(&len) {
            return Ok(None);
        }
        let mut name = vec![0; len as usize];
        file.read_exact_at(&mut name, offset)?;
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(0));
        return Ok((!name.is_empty()).then_some(name));
    }
    Ok(None)
}
