//! The system call that makes a child, on a stack of its own.

#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use libc::{c_int, c_void, pid_t};

use super::request::SystemCall;
use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys::{self, CloneArgs, Tls};

/// The exit status of a child whose start failed on our side.
pub(super) const FAILED: c_int = 255;

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: pid_t,
    /// With PIDFD.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// # Safety
/// As for [`sys::clone`].
pub(crate) unsafe fn clone_on(
    stack: &ChildStack,
    flags: CloneFlags,
    system_call: &SystemCall,
    tls: Option<&Tls>,
    entry: sys::Entry,
    arg: *mut c_void,
    child_tid: *mut pid_t,
) -> Result<Started, Error> {
    let mut parent_tid = -1;
    let tids = [&raw mut parent_tid, child_tid];
    // SAFETY: as the caller says.
    unsafe { clone_telling(stack, flags, system_call, tls, entry, arg, tids) }
}

/// - `tids`: where PARENT_SETTID stores the child's id, and where the flags for the child's memory
///   do.
///
/// # Safety
/// As for [`sys::clone`].
pub(super) unsafe fn clone_telling(
    stack: &ChildStack,
    flags: CloneFlags,
    system_call: &SystemCall,
    tls: Option<&Tls>,
    entry: sys::Entry,
    arg: *mut c_void,
    [parent_tid, child_tid]: [*mut pid_t; 2],
) -> Result<Started, Error> {
    let tls = tls.map_or(std::ptr::null_mut(), Tls::as_argument);
    // Where the kernel stores the descriptor; clone(2) has one place for that and for the id.
    let mut pidfd: c_int = -1;
    // Of the memory, so the parent's, too. A child that changes its ids takes it away, and the
    // parent would not own its /proc/self any more.
    let dumpable = flags.contains(CloneFlags::VM) && sys::is_dumpable();
    // a child in shared memory may write over the note
    let started = sys::keeping_thread_id(|| match system_call {
        SystemCall::Clone => {
            let stored = match flags.contains(CloneFlags::PIDFD) {
                true => &raw mut pidfd,
                false => parent_tid,
            };
            // SAFETY: as the caller says.
            unsafe {
                sys::clone(
                    entry,
                    stack.top(),
                    flags.as_int(),
                    arg,
                    stored,
                    tls,
                    child_tid,
                )
            }
        }
        SystemCall::Clone3 {
            exit_signal,
            set_tid,
            cgroup,
        } => {
            let (base, size) = stack.extent();
            let mut args = CloneArgs {
                flags: flags.bits(),
                pidfd: &raw mut pidfd as u64,
                child_tid: child_tid as u64,
                parent_tid: parent_tid as u64,
                exit_signal: *exit_signal,
                stack: base,
                stack_size: size,
                tls: tls as u64,
                set_tid: set_tid.as_ptr() as u64,
                set_tid_size: set_tid.len() as u64,
                cgroup: *cgroup,
            };
            if set_tid.is_empty() {
                args.set_tid = 0;
            }
            // SAFETY: as the caller says.
            unsafe { sys::clone3(&mut args, entry, arg) }
        }
    });
    if dumpable && !sys::is_dumpable() {
        sys::set_dumpable();
    }
    let pid = started?;
    // a kernel that does not know the flag stores nothing
    let pidfd = (flags.contains(CloneFlags::PIDFD) && pidfd >= 0).then(|| {
        // SAFETY: with this flag the kernel has stored a new descriptor, and nobody else has it.
        unsafe { OwnedFd::from_raw_fd(pidfd) }
    });
    Ok(Started { pid, pidfd })
}
