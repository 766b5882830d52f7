//! What a child of spawn does before its code or its program runs, in the one order that works.
//!
//! It happens in a copy of the process, or in the parent's memory while the parent sleeps. So
//! nothing here allocates, takes a lock or panics: all that it needs has been prepared.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};

use libc::{c_int, c_void, gid_t, uid_t};

use crate::error::Error;
use crate::sys::{self, ProcDirectory};

/// What can fail on the child's way, by the option that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    UidMap,
    GidMap,
    ParentDeath,
    TimeOffsets,
    Hostname,
    Loopback,
    /// The mounts of the new namespace are made private.
    Mounts,
    Root,
    MountProc,
    Cwd,
    Stdin,
    Stdout,
    Stderr,
    Exec,
}

impl Step {
    const NAMES: [(Step, &str); 14] = [
        (Step::UidMap, "uid_map"),
        (Step::GidMap, "gid_map"),
        (Step::ParentDeath, "parent_death"),
        (Step::TimeOffsets, "time_offsets"),
        (Step::Hostname, "hostname"),
        (Step::Loopback, "loopback"),
        (Step::Mounts, "private mounts"),
        (Step::Root, "root"),
        (Step::MountProc, "mount_proc"),
        (Step::Cwd, "cwd"),
        (Step::Stdin, "stdin"),
        (Step::Stdout, "stdout"),
        (Step::Stderr, "stderr"),
        (Step::Exec, "exec"),
    ];

    /// For the message.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The step of this number (`step as i32`).
    pub(crate) fn from_number(number: i32) -> Option<Step> {
        let number = usize::try_from(number).ok()?;
        Self::NAMES.get(number).map(|&(step, _)| step)
    }
}

/// A step that the kernel refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) errno: c_int,
}

/// A file of /proc to write.
#[derive(Debug)]
pub(crate) struct ProcFile {
    pub(crate) step: Step,
    /// Its name below /proc/self.
    pub(crate) name: &'static CStr,
    pub(crate) text: Vec<u8>,
}

/// What is to be done, and with what; the fields are in the order in which it is.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// The child's own id maps, where it may write them itself (user_namespaces(7)).
    pub(crate) own_maps: Vec<ProcFile>,
    /// As /proc/PID/timens_offsets takes them. Before the ids: a change of them closes /proc/self.
    pub(crate) time_offsets: Option<Vec<u8>>,
    /// To become, where the maps do not have the caller's own.
    pub(crate) group: Option<gid_t>,
    pub(crate) user: Option<uid_t>,
    /// Whether the process is to own its /proc/self after that as before it, which also lets others
    /// with those ids trace it: for code. A program owns it anyway, and before it runs nobody shall
    /// look into what is a copy of a privileged process.
    pub(crate) stays_dumpable: bool,
    /// After the ids: a change of them clears it (prctl(2), PR_SET_PDEATHSIG).
    pub(crate) parent_death: Option<c_int>,
    pub(crate) hostname: Option<Vec<u8>>,
    pub(crate) loopback: bool,
    /// With NEWNS.
    pub(crate) private_mounts: bool,
    pub(crate) root: Option<CString>,
    pub(crate) mount_proc: bool,
    pub(crate) cwd: Option<CString>,
    /// What becomes descriptor 0, 1 and 2.
    pub(crate) streams: [Option<c_int>; 3],
}

impl Setup {
    /// Does it all. `parent_lives` asks, once `parent_death` is set, whether the parent was alive
    /// after that; if not, the process ends, since nobody will send that signal.
    pub(crate) fn run(&self, parent_lives: impl FnOnce() -> bool) -> Result<(), Failure> {
        let at = |step| {
            move |error: Error| Failure {
                step,
                errno: error.errno(),
            }
        };
        for file in &self.own_maps {
            ProcDirectory::open(ProcDirectory::OWN)
                .and_then(|own| own.write(file.name, &file.text))
                .map_err(at(file.step))?;
        }
        if let Some(offsets) = &self.time_offsets {
            sys::enter_time_namespace(offsets).map_err(at(Step::TimeOffsets))?;
        }
        let dumpable = self.stays_dumpable && sys::is_dumpable();
        if let Some(group) = self.group {
            sys::set_group(group).map_err(at(Step::GidMap))?;
        }
        if let Some(user) = self.user {
            sys::set_user(user).map_err(at(Step::UidMap))?;
        }
        if dumpable {
            sys::set_dumpable();
        }
        if let Some(signal) = self.parent_death {
            // while it waits, signals are blocked, but for this one
            sys::set_parent_death_signal(libc::SIGKILL).map_err(at(Step::ParentDeath))?;
            if !parent_lives() {
                sys::exit_now(255);
            }
            sys::set_parent_death_signal(signal).map_err(at(Step::ParentDeath))?;
        }
        if let Some(hostname) = &self.hostname {
            sys::set_hostname(hostname).map_err(at(Step::Hostname))?;
        }
        if self.loopback {
            sys::bring_up_loopback().map_err(at(Step::Loopback))?;
        }
        if self.private_mounts {
            sys::make_mounts_private().map_err(at(Step::Mounts))?;
        }
        if let Some(root) = &self.root {
            sys::pivot_into(root).map_err(at(Step::Root))?;
        }
        if self.mount_proc {
            // The old /proc has to be in sight: without one that shows everything, the kernel
            // gives a user namespace no other (mount_namespaces(7), "Restrictions").
            sys::mount_proc(self.root.is_some()).map_err(at(Step::MountProc))?;
        }
        if self.root.is_some() {
            sys::detach_old_root().map_err(at(Step::Root))?;
        }
        if let Some(cwd) = &self.cwd {
            sys::change_directory(cwd).map_err(at(Step::Cwd))?;
        }
        const STREAMS: [Step; 3] = [Step::Stdin, Step::Stdout, Step::Stderr];
        sys::redirect(self.streams).map_err(|(n, error)| at(STREAMS[n])(error))
    }
}

/// A program to exec, as execvp(3) finds it.
#[derive(Debug)]
pub(crate) struct Program {
    /// The files to try, in the directories of PATH.
    candidates: Vec<CString>,
    /// The strings that the pointers below are to.
    arguments: Vec<CString>,
    _environment: Vec<CString>,
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
    pub(crate) fn new(
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
            _environment: environment.unwrap_or_default(),
            argv,
            shell_argv,
            envp,
        }
    }

    /// What it was asked for by.
    pub(crate) fn name(&self) -> &[u8] {
        let name = self.arguments.first();
        name.map_or(b"", |name| name.as_bytes())
    }

    /// Becomes the program, with this signal mask (a `sigset_t`) and no handlers.
    ///
    /// Returns only if it cannot, with the errno.
    pub(crate) fn exec(&self, mask: *const c_void) -> c_int {
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
