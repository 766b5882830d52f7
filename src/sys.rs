//! System calls: one thin function each, errno taken at once, no policy.

#![allow(unsafe_code)]

use libc::{c_int, c_long, c_ulong, c_void, pid_t};

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

/// The page size in bytes (sysconf(3)).
pub(crate) fn page_size() -> usize {
    // SAFETY: no arguments to get wrong; _SC_PAGESIZE is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// unshare(2) with all the bits that the system call takes; libc's function has an `int`.
pub(crate) fn unshare(flags: u64) -> Result<(), Error> {
    // SAFETY: touches no memory.
    match unsafe { libc::syscall(libc::SYS_unshare, flags as c_ulong) } {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

/// clone(2): starts a process that calls `entry(arg)` on the stack below `stack_top` and ends
/// with the status it returns. Returns its process id.
///
/// # Safety
/// `flags` has neither VM nor a flag that takes TLS or a child's address. `stack_top` is the end
/// of a mapping, aligned for the architecture; `parent_tid` is writable; `entry` may be called
/// with `arg` in a copy of this process.
pub(crate) unsafe fn clone(
    entry: extern "C" fn(*mut c_void) -> c_int,
    stack_top: *mut c_void,
    flags: c_int,
    arg: *mut c_void,
    parent_tid: *mut c_int,
) -> Result<pid_t, Error> {
    // SAFETY: as the caller says; the pointers of unused arguments are null.
    let pid = unsafe {
        libc::clone(
            entry,
            stack_top,
            flags,
            arg,
            parent_tid,
            std::ptr::null_mut::<c_void>(),
            std::ptr::null_mut::<c_int>(),
        )
    };
    match pid {
        -1 => Err(last_error()),
        pid => Ok(pid),
    }
}

/// Ends the process at once (_exit(2)).
pub(crate) fn exit_now(status: c_int) -> ! {
    // SAFETY: does not return; runs nothing of this process.
    unsafe { libc::_exit(status) }
}

/// Ends the process as a C program ends (exit(3)).
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: called once, in a process of one thread.
    unsafe { libc::exit(status) }
}

/// Where the C library keeps the calling thread's id, or `None` if it cannot be told.
///
/// glibc's fork has the kernel write a child's own id there; clone(2) does not know the place.
/// The kernel knows it, as the address that it clears when the thread ends (prctl(2),
/// PR_GET_TID_ADDRESS). It counts only if this thread's id stands there: other C libraries keep
/// something else at that address.
pub(crate) fn tid_address() -> Option<*mut pid_t> {
    let mut address: *mut pid_t = std::ptr::null_mut();
    // SAFETY: the kernel writes one pointer to `address`.
    let known = unsafe {
        libc::prctl(
            libc::PR_GET_TID_ADDRESS,
            &raw mut address,
            0 as c_ulong,
            0 as c_ulong,
            0 as c_ulong,
        )
    };
    // SAFETY: the address is the C library's own, valid as long as the thread lives.
    (known == 0 && !address.is_null() && unsafe { *address } == gettid()).then_some(address)
}

/// Makes `address` this thread's, with its id in it (set_tid_address(2)).
///
/// # Safety
/// `address` is what [`tid_address`] returned in the process that this one is a copy of.
pub(crate) unsafe fn adopt_tid_address(address: *mut pid_t) {
    // SAFETY: in this copy the address is as valid as it was there; set_tid_address always
    // succeeds and returns the caller's thread id.
    unsafe {
        let tid: c_long = libc::syscall(libc::SYS_set_tid_address, address);
        *address = tid as pid_t;
    }
}

fn gettid() -> pid_t {
    // SAFETY: touches no memory. Not libc's function: glibc has it since 2.30 only.
    unsafe { libc::syscall(libc::SYS_gettid) as pid_t }
}
