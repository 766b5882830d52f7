//! A copy by fork(3), where there are other threads.
//!
//! Only the C library's own fork(3) can hold its locks while the process is copied. What it cannot
//! say, a second process says: the copy is then a process between, of one thread, its locks in
//! order. That makes the child by the system call that was asked for, as its sibling
//! (CLONE_PARENT), and ends.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::{c_void, pid_t};

use super::birth::{Started, clone_telling};
use super::copy::{Birth, born_copy};
use super::request::{ChildTid, CloneRequest, SystemCall};
use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys::{self, Cradle};

/// How fork(3) makes a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The child is the copy.
    Alone,
    /// The copy makes the child.
    ByAnother,
}

/// What this process or the child can do itself.
const OURS: CloneFlags = CloneFlags::PIDFD
    .union(CloneFlags::PARENT_SETTID)
    .union(CloneFlags::CHILD_SETTID)
    .union(CloneFlags::CHILD_CLEARTID);

/// What is the same when a sibling is asked for it.
const ANOTHERS: CloneFlags = OURS
    .union(CloneFlags::NAMESPACES)
    .union(CloneFlags::CLEAR_SIGHAND)
    .union(CloneFlags::INTO_CGROUP)
    .union(CloneFlags::UNTRACED)
    .union(CloneFlags::VFORK);

/// The way for this request, or `None` if there is none: for what the child is to share with this
/// process, for another exit signal than SIGCHLD, for chosen ids, for flags that are not known, or
/// wrong.
pub(super) fn way(request: &CloneRequest) -> Option<Way> {
    let flags = match &request.system_call {
        SystemCall::Clone => request.flags - CloneFlags::CSIGNAL,
        // a process between would take the next free id itself
        SystemCall::Clone3 { set_tid, .. } if !set_tid.is_empty() => return None,
        SystemCall::Clone3 { .. } => request.flags,
    };
    if request.exit_signal() != libc::SIGCHLD as u64 || !ANOTHERS.contains(flags) {
        return None;
    }
    if flags.contains(CloneFlags::PIDFD) {
        // clone(2) has one place for this and for the id
        let wrong = matches!(request.system_call, SystemCall::Clone)
            && flags.contains(CloneFlags::PARENT_SETTID);
        // who makes the child would sleep until it ends, and it until its descriptor is open
        let asleep = flags.contains(CloneFlags::VFORK);
        if wrong || asleep || !sys::has_pidfd_open() {
            return None;
        }
    }
    let stores = matches!(request.ctid, Some(ChildTid::Address(_)));
    if OURS.contains(flags) && !stores && sys::CAN_CHANGE_STACKS {
        Some(Way::Alone)
    } else if !sys::next_child_changes_pid_namespace() {
        Some(Way::ByAnother)
    } else {
        // the copy would be process 1 of that namespace, and the namespace end with it
        None
    }
}

/// Starts it.
///
/// Returns `Err` with what fork(3), the system call or pidfd_open(2) refused; with ESRCH if
/// somebody killed the process that was to start the child.
pub(super) fn start(way: Way, stack: &ChildStack, birth: Birth<'_, '_>) -> Result<Started, Error> {
    let wants_pidfd = birth.request.flags.contains(CloneFlags::PIDFD);
    // Who is reaped cannot be asked for a descriptor; so the child does not end before it is open.
    // Nor does it begin before whoever makes it has ended, unless that one sleeps until then.
    let holds = !birth.request.flags.contains(CloneFlags::VFORK);
    let cradle = match wants_pidfd || way == Way::ByAnother {
        true => Some(Cradle::new(holds)?),
        false => None,
    };
    let leave = || cradle.as_ref().is_none_or(Cradle::leave);
    let mut birth = Birth {
        first: Some(&leave),
        ..birth
    };
    let pid = match (way, &cradle) {
        (Way::ByAnother, Some(cradle)) => by_another(stack, &mut birth, cradle)?,
        _ => alone(stack, &mut birth)?,
    };
    let pidfd = match wants_pidfd.then(|| sys::pidfd_open(pid, 0)) {
        Some(Err(error)) => {
            drop(cradle);
            sys::reap(pid);
            return Err(error);
        }
        // SAFETY: a new descriptor, which nobody else has.
        Some(Ok(pidfd)) => Some(unsafe { OwnedFd::from_raw_fd(pidfd) }),
        None => None,
    };
    if let Some(cradle) = cradle {
        cradle.let_go();
    }
    Ok(Started { pid, pidfd })
}

/// Returns the id of the child, by fork(3).
fn alone(stack: &ChildStack, birth: &mut Birth<'_, '_>) -> Result<pid_t, Error> {
    // SAFETY: the copy ends in `born_copy`.
    match unsafe { birth.call.perl().fork() }.map_err(errno)? {
        // SAFETY: this process's copies of `birth` and of the stack, which nobody else uses;
        // born_copy takes a `Birth`, and does not return.
        0 => unsafe { sys::go_on_at(stack.top(), born_copy, (&raw mut *birth).cast()) },
        pid => Ok(pid),
    }
}

/// Returns the id of the child, by a process that has ended when this returns.
fn by_another(
    stack: &ChildStack,
    birth: &mut Birth<'_, '_>,
    cradle: &Cradle,
) -> Result<pid_t, Error> {
    let system_call = birth.request.system_call.for_sibling();
    let (flags, tid) = birth.child_tid();
    let siblings = CloneFlags::PARENT | CloneFlags::PARENT_SETTID;
    let flags = (flags - CloneFlags::PIDFD) | siblings;
    let parent = sys::getpid();
    // SAFETY: the copy uses nothing of perl; the child that it makes ends in `born_copy`.
    let between = unsafe { birth.call.perl().fork() }.map_err(errno)?;
    if between == 0 {
        birth.parent_id = sys::getpid();
        // SAFETY: as for a copy by clone(2); born_copy takes a `Birth`, and the kernel stores the
        // child's id in the cradle.
        let started = unsafe {
            let birth = (&raw mut *birth).cast::<c_void>();
            let tids = [cradle.pid_address(), tid];
            clone_telling(stack, flags, &system_call, None, born_copy, birth, tids)
        };
        if let Err(error) = started {
            cradle.refuse(error.errno());
        }
        cradle.end_when_asked(parent);
    }
    // Whether it is ours to reap does not matter, as long as it has ended: others may wait for all
    // children, or SIGCHLD be ignored.
    let wait_after = |first, pid: pid_t| {
        let options = (libc::WEXITED | libc::WNOWAIT).into();
        let until_its_end = [libc::P_PID.into(), pid.into(), 0, options, 0, 0];
        let call = birth.call;
        // SAFETY: numbers, and a word of the cradle; a null siginfo_t is allowed. It can be
        // repeated.
        unsafe { call.syscall_after(first, libc::SYS_waitid, until_its_end) }
    };
    let waited = wait_after(cradle.ask_to_end(), between);
    if waited.is_err() {
        cradle.ask_now();
    }
    sys::reap(between);
    let pid = cradle.pid();
    match (waited, pid) {
        // what a handler throws: the child has not begun, and does not
        (Err(error), Ok(pid)) => {
            let kill = libc::SIGKILL.into();
            let _ = wait_after([libc::SYS_kill, pid.into(), kill, 0, 0, 0, 0], pid);
            sys::reap(pid);
            Err(error.into())
        }
        (Err(error), Err(_)) => Err(error.into()),
        (Ok(_), pid) => pid,
    }
}

fn errno(error: io::Error) -> Error {
    Error::Errno(error.raw_os_error().unwrap_or(libc::EAGAIN))
}
