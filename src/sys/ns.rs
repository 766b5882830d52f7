//! Namespaces of other processes, the root mount, and what processes share.
//!
//! By syscall(2): a C library that has no such function leaves it to the kernel to say so.

#![allow(unsafe_code)]

use libc::{c_int, c_ulong, uid_t};

use super::answered;
use crate::args::{KcmpIndex, KcmpRequest, PivotRequest, SetnsRequest};
use crate::error::Error;

/// setns(2)
pub(crate) fn setns(request: SetnsRequest) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(libc::SYS_setns, request.fd, request.nstype) }).map(drop)
}

/// pivot_root(2)
pub(crate) fn pivot_root(request: &PivotRequest) -> Result<(), Error> {
    let (new_root, old_root) = (request.new_root.as_ptr(), request.old_root.as_ptr());
    // SAFETY: two C strings.
    answered(unsafe { libc::syscall(libc::SYS_pivot_root, new_root, old_root) }).map(drop)
}

/// The types of kcmp(2) that take descriptors (linux/kcmp.h).
pub(crate) const KCMP_FILE: c_int = 0;
pub(crate) const KCMP_EPOLL_TFD: c_int = 7;

/// kcmp(2): 0 equal, 1 less, 2 greater, 3 different.
pub(crate) fn kcmp(request: &KcmpRequest) -> Result<c_int, Error> {
    let idx2 = match &request.idx2 {
        KcmpIndex::Number(number) => *number as c_ulong,
        KcmpIndex::Slot(slot) => slot.as_ptr().addr() as c_ulong,
    };
    // SAFETY: an index may be an address, which the kernel checks and only reads from.
    answered(unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            request.pid1,
            request.pid2,
            request.kind,
            request.idx1 as c_ulong,
            idx2,
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
