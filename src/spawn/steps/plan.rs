//! What the options come to together, and what of it explains a refusal.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use libc::{c_int, pid_t};

use crate::child::{ChildStack, SystemCall};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::spawn::caller;
use crate::spawn::refusal::wrong;
use crate::sys;

/// What the options come to together: what the child's start needs, and steps of each other.
#[derive(Debug)]
pub(in crate::spawn) struct Plan {
    /// Whether the child runs code, not a program.
    pub(in crate::spawn) runs_code: bool,
    /// With PIDFD, without the exit signal.
    pub(in crate::spawn) flags: CloneFlags,
    pub(in crate::spawn) exit_signal: c_int,
    /// In bytes.
    pub(in crate::spawn) stack_size: usize,
    pub(in crate::spawn) set_tid: Vec<pid_t>,
    pub(in crate::spawn) cgroup: Option<u64>,
    /// To become, where the maps do not have the caller's own.
    pub(in crate::spawn) group: Option<Taken>,
    pub(in crate::spawn) user: Option<Taken>,
    /// The users and the groups of the caller's user namespace that the maps have: the first, and
    /// how many.
    pub(in crate::spawn) mapped: [Vec<(u32, u32)>; 2],
    /// The directory that becomes the root.
    pub(in crate::spawn) root: Option<CString>,
    /// The working directory of a program.
    pub(in crate::spawn) cwd: Option<CString>,
}

/// An id that the child takes.
#[derive(Clone, Copy, Debug)]
pub(in crate::spawn) struct Taken {
    pub(in crate::spawn) inside: u32,
    /// In the caller's user namespace.
    pub(in crate::spawn) outside: u32,
}

impl Default for Plan {
    /// A program, without more.
    fn default() -> Self {
        Plan {
            runs_code: false,
            flags: CloneFlags::PIDFD,
            exit_signal: libc::SIGCHLD,
            stack_size: ChildStack::DEFAULT,
            set_tid: Vec::new(),
            cgroup: None,
            group: None,
            user: None,
            mapped: Default::default(),
            root: None,
            cwd: None,
        }
    }
}

impl Plan {
    /// Returns `Err` for an option that only a program can have, if code runs.
    pub(in crate::spawn) fn needs_program(&self, option: &str) -> Result<(), Error> {
        match self.runs_code {
            true => Err(wrong(format!("{option} is for exec, not for code"))),
            false => Ok(()),
        }
    }

    /// Whether the child is in another user namespace than the system's first.
    pub(in crate::spawn) fn has_user_namespace(&self) -> bool {
        self.flags.contains(CloneFlags::NEWUSER) || !caller::is_in_first_user_namespace()
    }

    /// Hint for a right that a user namespace gives: the setting that takes it away.
    pub(in crate::spawn) fn setting(&self) -> Option<String> {
        match self.has_user_namespace() {
            true => caller::rights_setting(),
            false => None,
        }
    }

    /// Hint for EPERM, or for EACCES that no file gives: that setting, or with EPERM what it takes.
    pub(in crate::spawn) fn right_hint(&self, errno: c_int, takes: &str) -> Option<String> {
        let takes = || (errno == libc::EPERM).then(|| format!("it takes {takes}"));
        self.setting().or_else(takes)
    }

    /// Hint for EACCES on the way to a file: the ids that the child has after its maps, and the
    /// directory that they may not pass, if the parent can see it.
    pub(in crate::spawn) fn ids_hint(&self, name: &CStr, is_directory: bool) -> Option<String> {
        if !self.flags.contains(CloneFlags::NEWUSER) {
            return None;
        }
        let user = self.user.map_or_else(sys::geteuid, |id| id.outside);
        let group = self.group.map_or_else(sys::getegid, |id| id.outside);
        let hint = format!("by then the child is user {user} and group {group}");
        // what the parent does not see by that name: below a new root, or below `cwd`
        let name = name.to_bytes();
        if name.is_empty() {
            return None;
        }
        let is = |other: &Option<CString>| other.as_deref().map(|other| other.to_bytes() == name);
        if is(&self.root) == Some(false) || name[..1] != *b"/" && is(&self.cwd) == Some(false) {
            return Some(hint);
        }
        let is_mapped = |map: &[(u32, u32)], id: u32| {
            let mut map = map.iter();
            map.any(|&(first, count)| covers(first, count, id))
        };
        let keeps_out = |directory: &[u8]| {
            let directory = CString::new(directory).ok()?;
            let about = fs::metadata(OsStr::from_bytes(directory.to_bytes())).ok()?;
            let [users, groups] = &self.mapped;
            // the owner; the group; the others, or one of the groups that it has kept
            let rights = match (about.uid() == user, about.gid() == group, self.group) {
                (true, _, _) => 0o100,
                (false, true, _) => 0o010,
                (false, false, Some(_)) => 0o001,
                (false, false, None) => 0o011,
            };
            let has_right = about.mode() & rights != 0
                || is_mapped(users, about.uid()) && is_mapped(groups, about.gid())
                || sys::has_attribute(&directory, c"system.posix_acl_access");
            Some(about.is_dir() && !has_right)
        };
        let is_end = |&end: &usize| match name.get(end) {
            Some(byte) => *byte == b'/',
            None => is_directory,
        };
        let mut above = (0..=name.len())
            .filter(is_end)
            .map(|end| &name[..end.max(1)]);
        match above.find(|directory| keeps_out(directory) == Some(true)) {
            Some(directory) => {
                let directory = String::from_utf8_lossy(directory);
                Some(format!("{hint}, who may not enter {directory}"))
            }
            None => Some(hint),
        }
    }

    /// The system call that can say it all, and the flags as it takes them.
    pub(in crate::spawn) fn system_call(&self) -> (SystemCall, CloneFlags) {
        let exit_signal = self.exit_signal as u64;
        let clone3_only = CloneFlags::INTO_CGROUP | CloneFlags::CLEAR_SIGHAND | CloneFlags::NEWTIME;
        match self.flags.intersects(clone3_only) || !self.set_tid.is_empty() {
            true => {
                let call = SystemCall::Clone3 {
                    exit_signal,
                    set_tid: self.set_tid.clone(),
                    cgroup: self.cgroup.unwrap_or_default(),
                };
                (call, self.flags)
            }
            false => {
                let signal = CloneFlags::from_bits_retain(exit_signal);
                (SystemCall::Clone, self.flags | signal)
            }
        }
    }
}

/// Whether this id is one of `count` from `first` on.
pub(super) fn covers(first: u32, count: u32, id: u32) -> bool {
    id >= first && id - first < count
}
