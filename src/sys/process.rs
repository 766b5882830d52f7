//! What a process is and has: ids, capabilities, signals, its program. Nothing here allocates or
//! takes a lock, but for the last: a child may call it, too.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};
use std::ptr;

use libc::{c_int, c_long, c_ulong, c_void, gid_t, pid_t, uid_t};

use super::{answered, errno};
use crate::error::Error;

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

/// The effective user id (geteuid(2)).
pub(crate) fn geteuid() -> libc::uid_t {
    // SAFETY: touches no memory.
    unsafe { libc::geteuid() }
}

/// The effective group id (getegid(2)).
pub(crate) fn getegid() -> libc::gid_t {
    // SAFETY: touches no memory.
    unsafe { libc::getegid() }
}

// By syscall(2), since the C library's functions do this in all threads of the process: in shared
// memory those are the parent's. Where there is a call for 16-bit ids, too, that with 32 bits.
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
const SET_IDS: [c_long; 3] = [
    libc::SYS_setgroups32,
    libc::SYS_setresgid32,
    libc::SYS_setresuid32,
];
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
const SET_IDS: [c_long; 3] = [
    libc::SYS_setgroups,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
];

/// Makes this the only group (setgroups(2), setresgid(2)).
pub(crate) fn set_group(group: gid_t) -> Result<(), Error> {
    // SAFETY: no groups, so nothing is read.
    answered(unsafe { libc::syscall(SET_IDS[0], 0 as c_ulong, ptr::null::<gid_t>()) })?;
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(SET_IDS[1], group, group, group) }).map(drop)
}

/// setresuid(2)
pub(crate) fn set_user(user: uid_t) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::syscall(SET_IDS[2], user, user, user) }).map(drop)
}

/// Whether the process may look into its /proc/self (prctl(2), PR_GET_DUMPABLE). A change of ids
/// ends that: the kernel takes it for one between users.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

/// prctl(2), PR_SET_DUMPABLE
pub(crate) fn set_dumpable() {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1 as c_ulong) };
}

/// prctl(2), PR_SET_PDEATHSIG
pub(crate) fn set_parent_death_signal(signal: c_int) -> Result<(), Error> {
    // SAFETY: touches no memory.
    answered(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as c_ulong) }).map(drop)
}

/// getppid(2), from the kernel; 0 if that is in another PID namespace.
pub(crate) fn getppid() -> pid_t {
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_getppid) as pid_t }
}

/// Numbers of capabilities(7).
pub(crate) const CAP_SETGID: u32 = 6;
pub(crate) const CAP_SETUID: u32 = 7;
pub(crate) const CAP_SYS_ADMIN: u32 = 21;
pub(crate) const CAP_SETFCAP: u32 = 31;

/// Whether the calling thread has this capability in its user namespace (capget(2)); only those
/// below 32.
pub(crate) fn has_capability(capability: u32) -> bool {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`
    const VERSION: u32 = 0x2008_0522;
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    // effective, permitted, inheritable; of 32 capabilities each
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: places of the size that this version has.
    let outcome = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, &raw mut sets) };
    outcome == 0 && sets[0][0] & 1 << capability != 0
}

/// Leaves session, process group, terminal and working directory (setsid(2)); of a process that
/// leads no group.
pub(crate) fn leave_session() {
    // SAFETY: a C string, else nothing.
    unsafe {
        libc::setsid();
        libc::chdir(c"/".as_ptr());
    }
}

/// sethostname(2)
pub(crate) fn set_hostname(name: &[u8]) -> Result<(), Error> {
    // SAFETY: a buffer with its length.
    answered(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Gives each signal that has a handler its default: the handlers are code of this process.
pub(crate) fn reset_signal_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: all zeros is a valid `sigaction`, that of SIG_DFL; places for the old one.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut action) == 0
                && action.sa_sigaction != libc::SIG_DFL
                && action.sa_sigaction != libc::SIG_IGN
            {
                action = std::mem::zeroed();
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
    }
}

/// Sets the signal mask (sigprocmask(2)); a null one leaves it.
pub(crate) fn set_signal_mask(mask: *const c_void) {
    // SAFETY: null, or the `sigset_t` of a held call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask.cast(), ptr::null_mut()) };
}

/// The environment of the process (environ(7)).
pub(crate) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the C library's own variable.
    unsafe { environ }
}

/// execve(2): the errno, if it comes back.
pub(crate) fn execve(file: &CStr, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    // SAFETY: a C string, and arrays of such that end with a null pointer.
    unsafe { libc::execve(file.as_ptr(), argv, envp) };
    errno()
}

/// A variable of the process's environment (getenv(3)), which perl keeps in step with `%ENV`.
pub(crate) fn environment_variable(name: &str) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(name).map(OsStringExt::into_vec)
}
