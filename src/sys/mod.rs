//! System calls: one thin function each, errno taken at once, no policy.

#![allow(unsafe_code)]

mod clone;
mod locks;
mod net;
mod ns;
mod wait;

use std::ffi::CStr;

use libc::{c_int, c_ulong, c_void, pid_t};

pub(crate) use clone::{
    CLONE3_HAS_OWN_STACK, CloneArgs, Tls, clone, clone3, forget_parent_id, keeping_thread_id,
    tid_address,
};
pub(crate) use locks::{SharedWord, is_single_threaded, pass_through_locks, watched};
pub(crate) use net::{InterfaceName, bring_up_loopback, set_interface_flags};
pub(crate) use ns::{
    KCMP_EPOLL_TFD, KCMP_FILE, kcmp, ns_get_nstype, ns_get_owner_uid, ns_get_parent, ns_get_userns,
    pivot_root, setns,
};
pub(crate) use wait::{is_running, pidfd_open, pidfd_send_signal, reap, waitid};

use crate::error::Error;

/// The calling thread's errno.
pub(crate) fn errno() -> c_int {
    // SAFETY: the C library returns a valid address of this thread.
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's errno, which is perl's `$!`.
pub(crate) fn set_errno(errno: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno }
}

/// The errno of the call that has just failed.
pub(crate) fn last_error() -> Error {
    Error::Errno(errno())
}

/// What a system call has returned, or its errno.
fn answered<T: From<i8> + PartialEq>(outcome: T) -> Result<T, Error> {
    match outcome == T::from(-1) {
        true => Err(last_error()),
        false => Ok(outcome),
    }
}

/// The page size in bytes (sysconf(3)).
pub(crate) fn page_size() -> usize {
    // SAFETY: no arguments to get wrong; _SC_PAGESIZE is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// unshare(2) with all the bits that the system call takes; libc's function has an `int`.
pub(crate) fn unshare(flags: u64) -> Result<(), Error> {
    // SAFETY: touches no memory.
    let outcome = unsafe {
        match c_int::try_from(flags) {
            Ok(flags) => libc::unshare(flags).into(),
            Err(_) => libc::syscall(libc::SYS_unshare, flags as c_ulong),
        }
    };
    match outcome {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

/// Whether there is memory at this address (mincore(2)).
pub(crate) fn is_mapped(address: usize) -> bool {
    let page = page_size();
    let mut resident = 0u8;
    // SAFETY: the kernel checks the address, and writes one byte for the one page.
    address >= page
        && unsafe {
            libc::mincore(
                (address & !(page - 1)) as *mut c_void,
                page,
                (&raw mut resident).cast(),
            )
        } == 0
}

/// Ends the process at once (_exit(2)).
pub(crate) fn exit_now(status: c_int) -> ! {
    // SAFETY: does not return; runs nothing of this process.
    unsafe { libc::_exit(status) }
}

/// Ends the calling thread, and nothing else (_exit(2), "C library/kernel differences"). What
/// clone(3) does when its function returns differs: before glibc 2.26 it ended the process.
pub(crate) fn exit_thread(status: c_int) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
}

/// Ends the process as a C program ends (exit(3)).
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: called once, in a process of one thread.
    unsafe { libc::exit(status) }
}

/// The process's id, from the kernel (getpid(2)).
pub(crate) fn getpid() -> pid_t {
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_getpid) as pid_t }
}

/// The calling thread's id (gettid(2)).
pub(crate) fn gettid() -> pid_t {
    // SAFETY: touches no memory. Not libc's function: glibc has it since 2.30 only.
    unsafe { libc::syscall(libc::SYS_gettid) as pid_t }
}

/// Whether the caller's next child is to be in another PID namespace than the caller, by
/// unshare(2) or setns(2); true if that cannot be told (namespaces(7)).
pub(crate) fn next_child_changes_pid_namespace() -> bool {
    // such a link reads "pid:[4026531836]"
    let namespace = |file: &CStr| {
        let mut name = [0u8; 32];
        // SAFETY: a C string, and a buffer of that length.
        let len = unsafe { libc::readlink(file.as_ptr(), name.as_mut_ptr().cast(), name.len()) };
        (len > 0).then_some(name)
    };
    let own = namespace(c"/proc/thread-self/ns/pid");
    own.is_none() || own != namespace(c"/proc/thread-self/ns/pid_for_children")
}
