//! What the child execs: `exec` and `env` of spawn, and execvp(3) without allocating.

use std::cell::Cell;
use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;

use libc::{c_int, c_void};
use perlxs::Scalar;

use super::interpreter::{View, missing};
use super::refusal::{FUNCTION, Refusal, wrong};
use super::steps::{Plan, named};
use crate::error::Error;
use crate::read;
use crate::sys;

/// A program to exec, as execvp(3) finds it.
#[derive(Debug)]
pub(super) struct Program {
    /// The files to try, in the directories of PATH.
    candidates: Vec<CString>,
    /// The strings that the pointers below are to.
    arguments: Vec<CString>,
    environment: Vec<CString>,
    argv: Vec<*const c_char>,
    /// To run a file without an interpreter line: `sh FILE ARGUMENT...`.
    shell_argv: Vec<Cell<*const c_char>>,
    /// `None`: the caller's.
    envp: Option<Vec<*const c_char>>,
}

impl Program {
    /// - `arguments`: the program, and its arguments.
    /// - `environment`: `NAME=VALUE` each; `None` for that of the process.
    /// - `path`: that PATH in which a program without a slash is looked for; `None` for the
    ///   default.
    pub(super) fn new(
        arguments: Vec<CString>,
        environment: Option<Vec<CString>>,
        path: Option<&[u8]>,
    ) -> Self {
        let program = arguments
            .first()
            .map_or(&b""[..], |program| program.as_bytes());
        // what is longer is too long as well, and need not be copied for each directory
        let program = &program[..program.len().min(libc::PATH_MAX as usize)];
        let candidates = match program {
            [] => Vec::new(),
            program if program.contains(&b'/') => vec![program.to_vec()],
            program => path
                .unwrap_or(b"/bin:/usr/bin")
                .split(|&byte| byte == b':')
                .filter(|directory| directory.len() < libc::PATH_MAX as usize)
                .map(|directory| match directory {
                    [] => program.to_vec(),
                    directory => [directory, b"/", program].concat(),
                })
                .collect(),
        };
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            let pointers = strings.iter().map(|string| string.as_ptr());
            pointers.chain([std::ptr::null()]).collect()
        };
        let argv = pointers(&arguments);
        let shell = [c"sh".as_ptr(), std::ptr::null()];
        let shell_argv = shell.iter().chain(argv.iter().skip(1));
        let shell_argv = shell_argv.map(|&pointer| Cell::new(pointer)).collect();
        let envp = environment.as_deref().map(pointers);
        Program {
            // none has a NUL: they are made of C strings
            candidates: candidates
                .into_iter()
                .filter_map(|candidate| CString::new(candidate).ok())
                .collect(),
            arguments,
            environment: environment.unwrap_or_default(),
            argv,
            shell_argv,
            envp,
        }
    }

    /// The message for an exec that has failed.
    pub(super) fn explain(&self, errno: c_int, plan: &Plan) -> Refusal {
        let name = self.arguments.first();
        let name = name.map_or(&b""[..], |name| name.as_bytes());
        Refusal::new(&named("exec", Some(name)), errno, self.hint(errno, plan))
    }

    fn hint(&self, errno: c_int, plan: &Plan) -> Option<String> {
        match errno {
            libc::E2BIG => Some(self.too_long()),
            libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::ELOOP => {
                let missing = View::new(plan).and_then(|view| {
                    let mut candidates = self.candidates.iter();
                    candidates.find_map(|file| missing(&view, file.as_bytes(), errno))
                });
                let ids = || match (errno, &self.candidates[..]) {
                    (libc::EACCES, [file]) => plan.ids_hint(file, false),
                    _ => None,
                };
                missing.or_else(ids)
            }
            libc::EPERM if plan.root.is_none() => {
                let mut candidates = self.candidates.iter();
                candidates
                    .any(|file| sys::has_file_capabilities(file))
                    .then(|| {
                        "it has capabilities of its own, and not all of them are in the caller's \
                     bounding set"
                            .into()
                    })
            }
            _ => None,
        }
    }

    /// What is longer than the kernel takes (execve(2), "Limits on size of arguments and
    /// environment").
    fn too_long(&self) -> String {
        // with its NUL
        let longest = 32 * sys::page_size();
        let arguments = self.arguments.iter().enumerate().map(|(n, argument)| {
            let what = format!("element {n} of exec");
            (what, argument.as_bytes_with_nul().len())
        });
        let variable = |name: &[u8], len| {
            let name = read::quoted(&String::from_utf8_lossy(name));
            (format!("the variable {name}"), len)
        };
        let variables: Vec<_> = match self.envp {
            Some(_) => {
                let entries = self
                    .environment
                    .iter()
                    .map(|entry| entry.as_bytes_with_nul());
                let name = |entry: &[u8]| entry.iter().position(|&byte| byte == b'=');
                let entries = entries.map(|entry| {
                    let name = &entry[..name(entry).unwrap_or_default()];
                    variable(name, entry.len())
                });
                entries.collect()
            }
            None => {
                let entries = std::env::vars_os();
                let entries = entries
                    .map(|(name, value)| variable(name.as_bytes(), name.len() + value.len() + 2));
                entries.collect()
            }
        };
        let mut all = 0;
        for (what, len) in arguments.chain(variables) {
            if len > longest {
                let (len, most) = (len - 1, longest - 1);
                return format!("{what} has {len} bytes, but {most} are the most");
            }
            all += len;
        }
        format!("its arguments and its environment have {all} bytes, more than RLIMIT_STACK allows")
    }

    /// Becomes the program, with this signal mask (a `sigset_t`) and no handlers.
    ///
    /// Returns only if it cannot, with the errno.
    pub(super) fn exec(&self, mask: *const c_void) -> c_int {
        sys::reset_signal_handlers();
        sys::set_signal_mask(mask);
        let envp = match &self.envp {
            Some(envp) => envp.as_ptr(),
            None => sys::environment(),
        };
        let mut denied = false;
        let mut last = libc::ENOENT;
        for candidate in &self.candidates {
            match sys::execve(candidate, self.argv.as_ptr(), envp) {
                libc::ENOEXEC => {
                    self.shell_argv[1].set(candidate.as_ptr());
                    return sys::execve(c"/bin/sh", self.shell_argv.as_ptr().cast(), envp);
                }
                libc::EACCES => denied = true,
                errno @ (libc::ENOENT
                | libc::ENOTDIR
                | libc::ESTALE
                | libc::ENODEV
                | libc::ETIMEDOUT) => last = errno,
                errno => return errno,
            }
        }
        match denied {
            true => libc::EACCES,
            false => last,
        }
    }
}

/// Reads `exec`: the program and its arguments.
pub(super) fn command(value: &Scalar) -> Result<Vec<CString>, Error> {
    let elements = value.elements()?.ok_or_else(|| {
        wrong(format!(
            "exec must be a reference to an array of a program and its arguments, not {}",
            value.describe()
        ))
    })?;
    if elements.is_empty() {
        return Err(wrong("exec is empty: it needs a program"));
    }
    let mut arguments = Vec::with_capacity(elements.len());
    for (n, element) in elements.iter().enumerate() {
        let argument = element.copy()?;
        if !argument.is_defined()? {
            return Err(wrong(format!("element {n} of exec is undef")));
        }
        arguments.push(read::string(FUNCTION, "exec", &argument)?);
    }
    Ok(arguments)
}

/// Reads `env`: `NAME=VALUE` each.
pub(super) fn environment(value: &Scalar) -> Result<Vec<CString>, Error> {
    // as %ENV passes them on: bytes where they can be
    let octets = |string: &Scalar| {
        let stored = string.file_name()?;
        let bytes = stored.as_ref().and_then(|_| string.bytes().ok()?);
        Ok::<_, Error>(bytes.or(stored))
    };
    let pairs = value.pairs()?.ok_or_else(|| {
        wrong(format!(
            "env must be a reference to a hash, not {}",
            value.describe()
        ))
    })?;
    let mut environment = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let said = name.describe();
        let name = octets(&name)?.unwrap_or_default();
        if name.is_empty() || name.contains(&b'=') {
            return Err(wrong(format!("env has a wrong name: {said}")));
        }
        let Some(value) = octets(&value.copy()?)? else {
            return Err(wrong(format!(
                "env has a value that is no string: that of {said}"
            )));
        };
        let entry = CString::new([&name[..], b"=", &value[..]].concat());
        environment.push(entry.map_err(|_| wrong(format!("env has a NUL: in {said}")))?);
    }
    Ok(environment)
}
