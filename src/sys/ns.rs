//! Namespaces of other processes, the root mount, and what processes share.
//!
//! By syscall(2): a C library that has no such function leaves it to the kernel to say so.

#![allow(unsafe_code)]

use std::ffi::CStr;

use libc::{c_int, c_ulong, pid_t, uid_t};

use super::answered;
use crate::error::Error;

/// unshare(2) with all the bits that the system call takes; libc's function has an `int`.
pub(crate) fn unshare(flags: u64) -> Result<(), Error> {
    // SAFETY: touches no memory.
    let outcome = unsafe {
        match c_int::try_from(flags) {
            Ok(flags) => libc::unshare(flags).into(),
            Err(_) => libc::syscall(libc::SYS_unshare, flags as c_ulong),
        }
    };
    answered(outcome).map(drop)
}

/// setns(2)
pub(crate) fn setns(fd: c_int, nstype: u32) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(libc::SYS_setns, fd, nstype) }).map(drop)
}

/// pivot_root(2)
pub(crate) fn pivot_root(new_root: &CStr, old_root: &CStr) -> Result<(), Error> {
    let (new_root, old_root) = (new_root.as_ptr(), old_root.as_ptr());
    // SAFETY: two C strings.
    answered(unsafe { libc::syscall(libc::SYS_pivot_root, new_root, old_root) }).map(drop)
}

/// kcmp(2): 0 equal, 1 less, 2 greater, 3 different.
pub(crate) fn kcmp(
    pid1: pid_t,
    pid2: pid_t,
    kind: c_int,
    idx1: u64,
    idx2: u64,
) -> Result<c_int, Error> {
    // SAFETY: an index may be an address, which the kernel checks and only reads from.
    answered(unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            pid1,
            pid2,
            kind,
            idx1 as c_ulong,
            idx2 as c_ulong,
        )
    })
    .map(|order| order as c_int)
}

/// A new descriptor of the user namespace that owns a namespace (ioctl_nsfs(2), as those below).
/// It is close-on-exec.
pub(crate) fn ns_get_userns(fd: c_int) -> Result<c_int, Error> {
    // SAFETY: takes no argument; touches no memory.
    answered(unsafe { libc::ioctl(fd, libc::NS_GET_USERNS) })
}

/// A new descriptor of the namespace above; close-on-exec, too.
pub(crate) fn ns_get_parent(fd: c_int) -> Result<c_int, Error> {
    // SAFETY: as above.
    answered(unsafe { libc::ioctl(fd, libc::NS_GET_PARENT) })
}

/// The CLONE_NEW* flag of a namespace.
pub(crate) fn ns_get_nstype(fd: c_int) -> Result<c_int, Error> {
    // SAFETY: as above.
    answered(unsafe { libc::ioctl(fd, libc::NS_GET_NSTYPE) })
}

/// The user who owns a user namespace.
pub(crate) fn ns_get_owner_uid(fd: c_int) -> Result<uid_t, Error> {
    let mut uid: uid_t = 0;
    // SAFETY: a place for the answer.
    answered(unsafe { libc::ioctl(fd, libc::NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
}

/// What such a link to a namespace says: "pid:[4026531836]" (namespaces(7)).
fn namespace(link: &CStr) -> Option<[u8; 32]> {
    let mut name = [0u8; 32];
    // SAFETY: a C string, and a buffer of that length.
    let len = unsafe { libc::readlink(link.as_ptr(), name.as_mut_ptr().cast(), name.len()) };
    (len > 0).then_some(name)
}

/// Whether the caller's next child is to be in another PID namespace than the caller, by
/// unshare(2) or setns(2); true if that cannot be told.
pub(crate) fn next_child_changes_pid_namespace() -> bool {
    let own = namespace(c"/proc/thread-self/ns/pid");
    own.is_none() || own != namespace(c"/proc/thread-self/ns/pid_for_children")
}

/// Whether it is to be in another time namespace.
pub(crate) fn next_child_changes_time_namespace() -> bool {
    namespace(c"/proc/thread-self/ns/time") != namespace(c"/proc/thread-self/ns/time_for_children")
}
